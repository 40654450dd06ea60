"""Set5, Set14, BSD100 and Urban100, which one archive holds."""

from __future__ import annotations

from cooanalysis.data.spec import Archive, DatasetSpec

# One archive of the EDSR authors holds Set5, Set14, B100 and Urban100 with the low-resolution
# images of scales 2, 3 and 4 (address: the README of EDSR-PyTorch, which says 250 MB).
# MD5: torchSR, torchsr/datasets/benchmarks.py.

_BENCHMARK = Archive(
    url="https://cv.snu.ac.kr/research/EDSR/benchmark.tar",
    filename="benchmark.tar",
    checksum="md5:4ace41d33c2384b97e6b320cd0afd6ba",
    nbytes=250_000_000,
    purpose="hr",
)

_UNCLEAR = "not stated; for research"

SET5 = DatasetSpec(
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
)

SET14 = DatasetSpec(
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
)

BSD100 = DatasetSpec(
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
)

URBAN100 = DatasetSpec(
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
)
