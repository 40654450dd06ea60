"""The data sets we know by name. Adding one is adding one entry to :data:`DATASETS`.

An archive has an address here only together with a checksum that somebody published; a data set
without one is not downloaded: the user fetches it and puts it where
:mod:`~cooanalysis.data.datasets` looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["DATASETS", "Archive", "DatasetSpec"]


@dataclass(frozen=True)
class Archive:
    """A file to download.

    Attributes
    ----------
    url : str
        Where it lies.
    filename : str
        What it is called on disk until it is unpacked.
    checksum : str
        ``"sha256:<hex>"`` or ``"md5:<hex>"``, as pooch takes it.
    nbytes : int
        Its size in bytes; approximate where the exact size is not published.
    purpose : {"hr", "lr"}
        Whether it holds high-resolution images (perhaps with low-resolution ones) or only
        low-resolution ones.
    scales : tuple of int
        The scales of an ``"lr"`` archive; empty for ``"hr"``, which every scale needs.
    unpack_into : str
        Folder below the data root that receives its content; ``""`` for the data root itself.
    """

    url: str
    filename: str
    checksum: str
    nbytes: int
    purpose: Literal["hr", "lr"]
    scales: tuple[int, ...] = ()
    unpack_into: str = ""


@dataclass(frozen=True)
class DatasetSpec:
    """What is known about a data set.

    Attributes
    ----------
    name : str
        What the user types, in lower case.
    title : str
        What tables and figures call it.
    folders : tuple of str
        Folders to look for below a data root, best first; upper and lower case are the same.
    n_images : int
        How many images it has when complete.
    homepage : str
        Where a person reads about it and gets it.
    license : str
        Its terms, in short.
    citation : str
        What to cite.
    expected : str
        A file that tells the user how the images should lie, relative to the data root.
    archives : tuple of Archive
        What can be downloaded; empty when the user has to fetch it.
    """

    name: str
    title: str
    folders: tuple[str, ...]
    n_images: int
    homepage: str
    license: str
    citation: str
    expected: str = ""
    archives: tuple[Archive, ...] = ()

    def archives_for(self, scale: int) -> tuple[Archive, ...]:
        """The archives that `scale` needs: high resolution, and low resolution if there is one."""
        return tuple(a for a in self.archives if a.purpose == "hr" or scale in a.scales)


# --- DIV2K --------------------------------------------------------------------------------------
#
# Addresses: https://data.vision.ee.ethz.ch/cvl/DIV2K/
# SHA-256 and exact sizes of the HR and X2 archives: TensorFlow Datasets,
# tensorflow_datasets/url_checksums/div2k.txt. MD5 of the X3 and X4 archives: torchSR,
# torchsr/datasets/div2k.py; the same MD5 sums stand in several unrelated projects. The sizes of
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


_DIV2K_TERMS = {
    "homepage": "https://data.vision.ee.ethz.ch/cvl/DIV2K/",
    "license": "academic research only; the images belong to their photographers",
    "citation": (
        "E. Agustsson and R. Timofte, NTIRE 2017 Challenge on Single Image Super-Resolution: "
        "Dataset and Study, CVPR Workshops 2017"
    ),
}

# --- the benchmark sets -------------------------------------------------------------------------
#
# One archive of the EDSR authors holds Set5, Set14, B100 and Urban100 with the low-resolution
# images of scales 2, 3 and 4 (address: the README of EDSR-PyTorch, which says 250 MB).
# MD5 of this archive and of Flickr2K.tar: torchSR, torchsr/datasets/benchmarks.py and flickr2k.py.

_EDSR_URL = "https://cv.snu.ac.kr/research/EDSR/"

_BENCHMARK = Archive(
    url=_EDSR_URL + "benchmark.tar",
    filename="benchmark.tar",
    checksum="md5:4ace41d33c2384b97e6b320cd0afd6ba",
    nbytes=250_000_000,
    purpose="hr",
)

_UNCLEAR = "not stated; for research"

_SPECS = (
    DatasetSpec(
        name="sample",
        title="Sample",
        folders=(),
        n_images=14,
        homepage="https://scikit-image.org/docs/stable/api/skimage.data.html",
        license="public domain, CC0 or CC BY; see the packages scikit-image and scikit-learn",
        citation="S. van der Walt et al., scikit-image: image processing in Python, PeerJ 2014",
    ),
    DatasetSpec(
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
        **_DIV2K_TERMS,
    ),
    DatasetSpec(
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
        **_DIV2K_TERMS,
    ),
    DatasetSpec(
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
                url=_EDSR_URL + "Flickr2K.tar",
                filename="Flickr2K.tar",
                checksum="md5:5d3f39443d5e9489bff8963f8f26cb03",
                nbytes=20_000_000_000,
                purpose="hr",
            ),
        ),
    ),
    DatasetSpec(
        name="set5",
        title="Set5",
        folders=("Set5", "benchmark/Set5"),
        n_images=5,
        homepage="http://people.rennes.inria.fr/Aline.Roumy/results/SR_BMVC12.html",
        license=_UNCLEAR,
        citation=(
            "M. Bevilacqua et al., Low-Complexity Single-Image Super-Resolution Based on "
            "Nonnegative Neighbor Embedding, BMVC 2012"
        ),
        expected="Set5/HR/baby.png",
        archives=(_BENCHMARK,),
    ),
    DatasetSpec(
        name="set14",
        title="Set14",
        folders=("Set14", "benchmark/Set14"),
        n_images=14,
        homepage="https://sites.google.com/site/romanzeyde/research-interests",
        license=_UNCLEAR,
        citation=(
            "R. Zeyde et al., On Single Image Scale-Up Using Sparse-Representations, Curves and "
            "Surfaces 2010"
        ),
        expected="Set14/HR/baboon.png",
        archives=(_BENCHMARK,),
    ),
    DatasetSpec(
        name="bsd100",
        title="BSD100",
        folders=("BSD100", "B100", "benchmark/B100", "benchmark/BSD100"),
        n_images=100,
        homepage="https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/bsds/",
        license="non-commercial research and education",
        citation=(
            "D. Martin et al., A Database of Human Segmented Natural Images and its Application "
            "to Evaluating Segmentation Algorithms, ICCV 2001"
        ),
        expected="BSD100/HR/101085.png",
        archives=(_BENCHMARK,),
    ),
    DatasetSpec(
        name="urban100",
        title="Urban100",
        folders=("Urban100", "benchmark/Urban100"),
        n_images=100,
        homepage="https://github.com/jbhuang0604/SelfExSR",
        license=_UNCLEAR,
        citation=(
            "J.-B. Huang et al., Single Image Super-Resolution from Transformed Self-Exemplars, "
            "CVPR 2015"
        ),
        expected="Urban100/HR/img001.png",
        archives=(_BENCHMARK,),
    ),
    DatasetSpec(
        # Handed out after a request form only, hence no archive.
        name="manga109",
        title="Manga109",
        folders=("Manga109", "benchmark/Manga109"),
        n_images=109,
        homepage="http://www.manga109.org/en/",
        license="academic research, on request",
        citation=(
            "Y. Matsui et al., Sketch-based Manga Retrieval using Manga109 Dataset, Multimedia "
            "Tools and Applications 76, 2017"
        ),
        expected="Manga109/HR/AisazuNihaIrarenai.png",
    ),
)

#: Every data set that can be asked for by name.
DATASETS: dict[str, DatasetSpec] = {spec.name: spec for spec in _SPECS}
