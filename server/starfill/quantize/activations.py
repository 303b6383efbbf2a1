"""Hidden states of the calibration sequences, passed from layer to layer in CPU memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from starfill.errors import CheckpointError
from starfill.quantize.skeleton import Skeleton

Watch = Callable[[torch.Tensor], None]


class Stop(Exception):
    """Ends a forward pass when everything that is needed has been seen."""


class Activations:
    """The input of the next layer: hidden states [1, T, width] float32, one for each calibration sequence.

    A layer's other arguments (mask, positions) depend only on the length of the sequence, so they are kept once for
    each length.
    """

    def __init__(self, skeleton: Skeleton, sequences: Sequence[Sequence[int]]) -> None:
        """Runs what stands before the first layer. sequences: token ids."""
        self._device = skeleton.device
        self._rest: dict[int, tuple[tuple[Any, ...], dict[str, Any]]] = {}
        self.hidden: list[torch.Tensor] = []
        skeleton.load_outside()
        hook = skeleton.layers[0].register_forward_pre_hook(self._catch, with_kwargs=True)
        try:
            for ids in sequences:
                try:
                    skeleton.model(torch.tensor([ids], device=self._device), use_cache=False)
                except Stop:
                    continue
        finally:
            hook.remove()
        skeleton.free(skeleton.model)

    def _catch(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        hidden, *more = args or (kwargs.pop("hidden_states"),)
        self._rest.setdefault(hidden.shape[1], (tuple(more), kwargs))
        self.hidden.append(hidden.cpu())
        raise Stop

    def run(self, layer: nn.Module, hidden: torch.Tensor) -> torch.Tensor:
        """The layer's output, on its device."""
        more, kwargs = self._rest[hidden.shape[1]]
        out = layer(hidden.to(self._device), *more, **kwargs)
        result: torch.Tensor = out[0] if isinstance(out, tuple) else out  # a tuple until transformers 4.5x
        return result

    def advance(self, layer: nn.Module) -> None:
        """Pass all sequences through the layer."""
        for index, hidden in enumerate(self.hidden):
            self.hidden[index] = self.run(layer, hidden).cpu()

    def groups(self, layer: nn.Module) -> list[list[str]]:
        """The layer's linears in the order in which they run; those with the very same input form a group.

        Each group is quantized together, and the next one sees it quantized ("true sequential"): query, key and value,
        then the attention's output, and so on, whatever the architecture calls them.
        """
        seen: list[tuple[str, torch.Tensor]] = []
        names = [name for name, module in layer.named_modules() if isinstance(module, nn.Linear)]
        hooks = [
            layer.get_submodule(name).register_forward_pre_hook(lambda _, args, name=name: seen.append((name, args[0])))
            for name in names
        ]
        try:
            self.run(layer, self.hidden[0])
        finally:
            for hook in hooks:
                hook.remove()
        missing = sorted(set(names) - {name for name, _ in seen})
        if missing:
            raise CheckpointError(
                f"{missing[0]} is not used for every token (a mixture of experts?), and such models can't be quantized"
            )
        groups: list[list[str]] = []
        for index, (name, value) in enumerate(seen):
            if index and value is seen[index - 1][1]:
                groups[-1].append(name)
            else:
                groups.append([name])
        return groups

    def watch(self, layer: nn.Module, watched: Mapping[str, Watch]) -> None:
        """Show each of the named linears, which form one group, its inputs [T, in], sequence by sequence."""
        *_, last = watched

        def hook_for(name: str) -> Callable[[nn.Module, tuple[torch.Tensor, ...]], None]:
            def hook(_: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
                watched[name](args[0].flatten(0, -2))
                if name == last:
                    raise Stop

            return hook

        hooks = [layer.get_submodule(name).register_forward_pre_hook(hook_for(name)) for name in watched]
        try:
            for hidden in self.hidden:
                try:
                    self.run(layer, hidden)
                except Stop:
                    continue
        finally:
            for hook in hooks:
                hook.remove()
