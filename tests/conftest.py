"""Eight virtual devices for every test, set before JAX counts them."""

import jax

jax.config.update("jax_num_cpu_devices", 8)
