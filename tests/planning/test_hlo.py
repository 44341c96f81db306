"""Programs of known arithmetic and traffic, compiled here for eight virtual devices, and read."""

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
import numpy as np
import pytest

from prompt_tuning.planning import hlo


def compiled(function, *shapes, **options):
    """The program, and what XLA's own analysis says of it."""
    given = [x if isinstance(x, jax.ShapeDtypeStruct) else of(*x) for x in shapes]
    found = jax.jit(function, **options).lower(*given).compile()
    return hlo.Program(found.as_text()), found.cost_analysis()


def of(*shape, sharding=None):
    return jax.ShapeDtypeStruct(shape, jnp.float32, sharding=sharding)


def test_products_count_as_xla_counts_them():
    def three(x, y, z):
        return jnp.einsum("bij,bjk->bik", x, y) @ z

    program, costs = compiled(three, (3, 16, 24), (3, 24, 40), (40, 56))
    expected = 2 * (3 * 16 * 24 * 40 + 3 * 16 * 40 * 56)
    assert program.flops == expected == costs["flops"]


@pytest.mark.parametrize("length", [1, 5])
def test_a_loops_body_counts_as_often_as_it_runs(length):
    def repeated(x, kernels):
        return jax.lax.scan(lambda x, kernel: (jnp.tanh(x @ kernel), None), x, kernels)[0]

    program, costs = compiled(repeated, (32, 64), (length, 64, 64))
    assert program.flops == length * 2 * 32 * 64 * 64
    assert length == 1 or costs["flops"] < program.flops  # XLA's counts the body once


def test_loops_in_loops_multiply():
    def repeated(x):
        once = lambda _, x: jnp.tanh(x @ x)
        return jax.lax.fori_loop(0, 3, lambda _, x: jax.lax.fori_loop(0, 4, once, x), x)

    program, _ = compiled(repeated, (64, 64))
    assert program.flops == 12 * 2 * 64**3


@pytest.mark.parametrize(("step", "trips"), [(1, 8), (2, 4), (3, 3)])
def test_a_loop_that_counts_in_larger_steps_runs_less_often(step, trips):
    def repeated(x):
        goes_on, once = lambda state: state[0] < 8, lambda s: (s[0] + step, jnp.tanh(s[1] @ s[1]))
        return jax.lax.while_loop(goes_on, once, (0, x))[1]

    program, _ = compiled(repeated, (64, 64))
    assert program.flops == trips * 2 * 64**3


def test_memory_is_what_goes_in_and_out_and_a_stack_is_read_by_its_slices():
    def largest(x, stack):
        return jax.lax.scan(lambda x, row: (jnp.maximum(x, row), None), x, stack)[0]

    program, _ = compiled(largest, (4096,), (50, 4096))
    at_least = 50 * 3 * 4096 * 4  # each time: what was, a row, what is
    assert at_least <= program.memory_bytes < 3 * at_least  # all of the stack each time: 17 times


@pytest.fixture
def mesh():
    return Mesh(np.array(jax.devices()).reshape(4, 2), ("data", "model"))


def test_collectives_have_their_kind_group_size_and_traffic(mesh):
    rows = NamedSharding(mesh, PartitionSpec("data"))
    everywhere = NamedSharding(mesh, PartitionSpec())

    def mean_row(x):
        return jnp.sum(x, axis=0)

    program, _ = compiled(mean_row, of(64, 300, sharding=rows), out_shardings=everywhere)
    (found,) = program.collectives
    assert (found.opcode, found.group, found.times) == ("all-reduce", 4, 1)
    assert found.result[0].bytes == 1200 and found.link_bytes == 2 * 1200 * 3 / 4


def test_a_collective_in_a_loop_counts_as_often_as_it_runs(mesh):
    divided = NamedSharding(mesh, PartitionSpec(None, "data"))
    everywhere = NamedSharding(mesh, PartitionSpec())

    def repeated(x, kernels):
        def once(x, kernel):
            kernel = jax.lax.with_sharding_constraint(kernel, everywhere)
            return jnp.tanh(x @ kernel), None

        return jax.lax.scan(once, x, kernels)[0]

    shapes = of(16, 64, sharding=everywhere), of(6, 64, 64, sharding=divided)
    program, _ = compiled(repeated, *shapes, out_shardings=everywhere)
    gathers = [x for x in program.collectives if x.opcode == "all-gather"]
    assert sum(x.link_bytes for x in gathers) == 6 * 64 * 64 * 4 * 3 / 4


# What a TPU's compiler writes: a batch of products as a convolution whose window walks the batch.
TPU = """HloModule jit_f

%fused (p0: bf16[8,16,32], p1: bf16[8,32,64]) -> bf16[8,16,64] {
  %p0 = bf16[8,16,32]{2,1,0:T(8,128)(2,1)S(1)} parameter(0)
  %p1 = bf16[8,32,64]{2,1,0:T(8,128)(2,1)} parameter(1)
  ROOT %c = bf16[8,16,64]{2,1,0:T(8,128)} convolution(%p0, %p1), window={size=8 pad=0_7 stride=7 lhs_dilate=8}, dim_labels=0bf_0io->0bf
}

ENTRY %main (a: bf16[8,16,32], b: bf16[8,32,64]) -> bf16[8,16,64] {
  %a = bf16[8,16,32]{2,1,0:T(8,128)(2,1)S(1)} parameter(0)
  %b = bf16[8,32,64]{2,1,0:T(8,128)(2,1)} parameter(1)
  ROOT %f = bf16[8,16,64]{2,1,0:T(8,128)} fusion(%a, %b), kind=kOutput, calls=%fused
}
"""


def test_a_tpus_convolutions_are_the_products_they_stand_for():
    program = hlo.Program(TPU)
    assert program.flops == 2 * 8 * 16 * 32 * 64
    assert program.memory_bytes == 2 * (8 * 32 * 64 + 8 * 16 * 64)  # `a` is on the chip already


MESH = "mesh['axis_0'=4,'axis_1'=1,'axis_2'=8]"


@pytest.mark.parametrize(
    ("groups", "size"),
    [
        ("{{0,1},{2,3},{4,5},{6,7}}", 2),
        ("[8,4]<=[4,8]T(1,0)", 4),
        (f"{MESH} {{'axis_0'}}", 4),
        (f"{MESH}, device_ids=([8,4]T(1,0)) {{'axis_0'}}", 4),
        (f"{MESH}, device_ids=([8,4]T(1,0)) {{'axis_2'}}", 8),
        (f"{MESH}, device_ids=([2,4,4]T(1,0,2)) {{'axis_0','axis_2'}}", 32),
        ("mesh['x'=2,'y'=2], device_ids=(0,3,1,2) {'y'}", 2),
        (f"{MESH} {{'axis_0','axis_2':(2)4}}", 16),
    ],
)
def test_groups_are_counted_in_every_form_that_they_are_written_in(groups, size):
    program = hlo.Program(f"""HloModule jit_f

ENTRY %main (a: f32[100]) -> f32[100] {{
  %a = f32[100]{{0}} parameter(0)
  ROOT %r = f32[100]{{0}} all-reduce(%a), channel_id=1, replica_groups={groups}, use_global_device_ids=true, to_apply=%add
}}
""")
    (found,) = program.collectives
    assert found.group == size and found.link_bytes == 2 * 400 * (size - 1) / size
