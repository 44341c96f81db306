"""Any optax optimizer in T5X's trainer, with its state laid out on T5X's mesh."""

import optax
from t5x import optimizers


class OptaxWrapper(optimizers.OptaxWrapper):
    """T5X's wrapper, which alone has rules for some optax states only, Adafactor's not among them."""

    def derive_logical_axes(self, optimizer, param_logical_axes):
        """An optimizer with axis names, or None for whole on every device, in place of arrays.

        State that has its parameter's shape lies as the parameter does; counters and Adafactor's
        rows and columns are small.
        """
        param_states = optax.tree_map_params(
            self.optax_optimizer,
            _axes,
            optimizer.state.param_states,
            optimizer.target,
            param_logical_axes,
            transform_non_params=lambda _: None,
            is_leaf=_is_masked,
        )
        state = optimizers.OptimizerState(step=None, param_states=param_states)
        return optimizer.replace(state=state, target=param_logical_axes)


def _is_masked(x) -> bool:
    return isinstance(x, optax.MaskedNode)


def _axes(state, param, axes):
    if _is_masked(state):  # of a frozen parameter
        return state
    return axes if state.shape == param.shape else None
