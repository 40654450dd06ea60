"""Worlds whose answers are known: what is estimated from their images can also be computed.

A world draws ground truth and LR images, and offers conditional means, posterior samples and errors
for models whose knowledge is a window of LR pixels. Self-test, tests and experiments compare
measures with these exact values.
"""
