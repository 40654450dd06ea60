"""Flickr2K: 2650 images for training."""

from __future__ import annotations

from cooanalysis.data.spec import Archive, DatasetSpec

# MD5: torchSR, torchsr/datasets/flickr2k.py.
FLICKR2K = DatasetSpec(
    name="flickr2k",
    title="Flickr2K",
    folders=("Flickr2K",),
    n_images=2650,
    homepage="https://github.com/limbee/NTIRE2017",
    license="academic research only; the images belong to their photographers",
    citation=(
        "B. Lim et al., Enhanced Deep Residual Networks for Single Image Super-Resolution, "
        "CVPR Workshops 2017"
    ),
    expected="Flickr2K/Flickr2K_HR/000001.png",
    archives=(
        Archive(
            url="https://cv.snu.ac.kr/research/EDSR/Flickr2K.tar",
            filename="Flickr2K.tar",
            checksum="md5:5d3f39443d5e9489bff8963f8f26cb03",
            nbytes=20_000_000_000,
            purpose="hr",
        ),
    ),
)
