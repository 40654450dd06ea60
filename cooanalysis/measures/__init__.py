"""Pure functions of arrays: centers, detail, entropy, distance to clean images, intervals."""
