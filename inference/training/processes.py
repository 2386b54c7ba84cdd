"""One process or several, CPU or GPUs, float32 or bf16: what the training loop need not know.

Each process looks at its share of a batch. Embeddings are then gathered, so that every process
computes the loss of the whole batch, in which each text is a negative of every other image: the
loss and the gradient are those of one process with all of the batch.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import nn

from inference.training.config import Precision

T = TypeVar("T")


class Processes:
    """The processes that train together, as `torchrun` or `accelerate launch` started them."""

    def __init__(self, precision: Precision = "float32", device: str = "auto") -> None:
        # What the launcher says of precision does not count: the configuration says it all.
        self._accelerator: Any = Accelerator(cpu=device == "cpu", mixed_precision="no")
        self._precision = precision
        self.device: torch.device = self._accelerator.device
        self.count: int = self._accelerator.num_processes
        self.number: int = self._accelerator.process_index
        self.is_first: bool = self._accelerator.is_main_process

    def share(self, rows: int) -> slice:
        """Return which of a batch's rows this process looks at.

        Raises:
            ValueError: the processes cannot share them equally.
        """
        if rows % self.count:
            raise ValueError(f"{self.count} processes cannot share {rows} nodules equally")
        each = rows // self.count
        return slice(self.number * each, (self.number + 1) * each)

    def gathered(self, part: torch.Tensor) -> torch.Tensor:
        """Return the parts (n, ...) of all processes, (count * n, ...), for gradients too."""
        if self.count == 1:
            return part
        joined: torch.Tensor = _Gather.apply(part, self._accelerator)  # type: ignore[no-untyped-call]
        return joined

    def autocast(self) -> Any:
        """Within the block networks compute in the precision that was chosen."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self._precision == "bf16")

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give every process the mean of all processes' gradients."""
        if self.count == 1:
            return
        trained = [p for p in parameters if p.grad is not None]
        flat = torch.cat([p.grad.flatten() for p in trained if p.grad is not None])
        flat = self._accelerator.reduce(flat, reduction="mean")
        for parameter, values in zip(
            trained, flat.split([p.numel() for p in trained]), strict=True
        ):
            parameter.grad = values.view_as(parameter)

    def each(self, count: int, do: Callable[[int], T]) -> list[T]:
        """Return `do` of every number below `count`; the processes share the work."""
        mine = [(number, do(number)) for number in range(self.number, count, self.count)]
        if self.count == 1:
            return [value for _, value in mine]
        return [value for _, value in sorted(gather_object(mine), key=lambda pair: pair[0])]

    def first_alone(self) -> Any:
        """Within the block the first process goes before the others: it makes what all read."""
        return self._accelerator.main_process_first()

    def wait(self) -> None:
        """Wait until every process is here."""
        self._accelerator.wait_for_everyone()


class _Gather(torch.autograd.Function):
    """Gathers forwards, and gives each process the sum of what all want of its part back."""

    @staticmethod
    def forward(context: Any, part: torch.Tensor, accelerator: Any) -> torch.Tensor:
        context.accelerator, context.rows = accelerator, len(part)
        gathered: torch.Tensor = accelerator.gather(part.contiguous())
        return gathered

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        whole = context.accelerator.reduce(gradient.contiguous(), reduction="sum")
        first = context.accelerator.process_index * context.rows
        return whole[first : first + context.rows], None
