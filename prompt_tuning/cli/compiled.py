"""Where programs that XLA has compiled are kept, so that the next run does not wait for them."""

import os
import pathlib

import jax


def keep() -> None:
    """Has JAX keep what it compiles, in ~/.cache/prompt_tuning/compiled.

    JAX_COMPILATION_CACHE_DIR names another folder, or a bucket; JAX_ENABLE_COMPILATION_CACHE=0
    turns it off. Unless a folder is named nothing is kept
      on CPUs, where XLA rejects, with errors in the log, what it wrote itself on some Intel
        machines (https://github.com/jax-ml/jax/issues/38445);
      of several processes: the first alone writes, and where the others cannot read that, they
        wait for the kernels that it would choose while compiling (XLA shards GPU autotuning).
    """
    named = jax.config.jax_compilation_cache_dir
    if named is None and jax.default_backend() != "cpu" and jax.process_count() == 1:
        cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        folder = pathlib.Path(cache, "prompt_tuning", "compiled")
        jax.config.update("jax_compilation_cache_dir", str(folder))
