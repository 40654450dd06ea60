"""Manga109, which is handed out after a request form only, hence no archive."""

from __future__ import annotations

from cooanalysis.data.spec import DatasetSpec

MANGA109 = DatasetSpec(
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
)
