"""DIV2K: 800 images for training and 100 for validation."""

from __future__ import annotations

from cooanalysis.data.spec import Archive, DatasetSpec

# Addresses: https://data.vision.ee.ethz.ch/cvl/DIV2K/
# SHA-256 and exact sizes of the HR and X2 archives: TensorFlow Datasets,
# tensorflow_datasets/url_checksums/div2k.txt. MD5 of the X3 and X4 archives: torchSR,
# torchsr/datasets/div2k.py; the same MD5 sums appear in several unrelated projects. The sizes of
# these are estimates from X2 by the number of pixels.

_DIV2K_URL = "https://data.vision.ee.ethz.ch/cvl/DIV2K/"


def _div2k(file: str, checksum: str, nbytes: int, scale: int | None = None) -> Archive:
    return Archive(
        url=_DIV2K_URL + file,
        filename=file,
        checksum=checksum,
        nbytes=nbytes,
        purpose="hr" if scale is None else "lr",
        scales=() if scale is None else (scale,),
        unpack_into="DIV2K",
    )


_HOMEPAGE = "https://data.vision.ee.ethz.ch/cvl/DIV2K/"
_LICENSE = "academic research only; the images belong to their photographers"
_CITATION = (
    "E. Agustsson and R. Timofte, NTIRE 2017 Challenge on Single Image Super-Resolution: "
    "Dataset and Study, CVPR Workshops 2017"
)

DIV2K = DatasetSpec(
    name="div2k",
    title="DIV2K",
    folders=("DIV2K",),
    n_images=800,
    expected="DIV2K/DIV2K_train_HR/0001.png",
    archives=(
        _div2k(
            "DIV2K_train_HR.zip",
            "sha256:9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335",
            3_530_603_713,
        ),
        _div2k(
            "DIV2K_train_LR_bicubic_X2.zip",
            "sha256:a53a424317575838dadce4bcd97cf7b744d6855f43740ed5f0245af3cf4bd850",
            925_390_592,
            2,
        ),
        _div2k(
            "DIV2K_train_LR_bicubic_X3.zip",
            "md5:ad80b9fe40c049a07a8a6c51bfab3b6d",
            430_000_000,
            3,
        ),
        _div2k(
            "DIV2K_train_LR_bicubic_X4.zip",
            "md5:76c43ec4155851901ebbe8339846d93d",
            250_000_000,
            4,
        ),
    ),
    homepage=_HOMEPAGE,
    license=_LICENSE,
    citation=_CITATION,
)

DIV2K_VALID = DatasetSpec(
    name="div2k-valid",
    title="DIV2K validation",
    folders=("DIV2K/DIV2K_valid_HR", "DIV2K_valid_HR"),
    n_images=100,
    expected="DIV2K/DIV2K_valid_HR/0801.png",
    archives=(
        _div2k(
            "DIV2K_valid_HR.zip",
            "sha256:20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc",
            448_993_893,
        ),
        _div2k(
            "DIV2K_valid_LR_bicubic_X2.zip",
            "sha256:60eed9875c697df51204aa579e2a699e1d5215095788a097ff54dd17e2664d57",
            117_763_600,
            2,
        ),
        _div2k(
            "DIV2K_valid_LR_bicubic_X3.zip",
            "md5:18b1d310f9f88c13618c287927b29898",
            55_000_000,
            3,
        ),
        _div2k(
            "DIV2K_valid_LR_bicubic_X4.zip",
            "md5:21962de700c8d368c6ff83314480eff0",
            32_000_000,
            4,
        ),
    ),
    homepage=_HOMEPAGE,
    license=_LICENSE,
    citation=_CITATION,
)
