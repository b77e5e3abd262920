"""Flows driven by hand: no server, no mock; the clock moves only where the flow sleeps or a scripted outcome says so."""

from collections.abc import Callable
from typing import Any

import grpc

from vision_grpc._calls import Call, Context, Flow, Gather, Sleep
from vision_grpc.config import Retry


class Failed(grpc.RpcError):
    """What gRPC raises, as both of its APIs do: with code, details and trailing metadata."""

    def __init__(self, code: grpc.StatusCode, details: str = "", status: bytes | None = None) -> None:
        super().__init__(code.name)
        self._code, self._details = code, details
        self._trailing = (("grpc-status-details-bin", status),) if status is not None else ()

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def trailing_metadata(self) -> Any:
        return self._trailing


class Stage:
    """A clock that stands at 0, a context on it, and all steps that the flows played here have taken."""

    def __init__(self, *, draw: float = 1.0, retry: Retry | None = None) -> None:
        self.now = 0.0
        self.steps: list[Any] = []
        self.context = Context(retry=retry or Retry(), clock=lambda: self.now, random=lambda: draw)

    def later(self, seconds: float, outcome: object) -> Callable[[], object]:
        """An outcome that comes after some seconds."""

        def come() -> object:
            self.now += seconds
            return outcome

        return come

    def play(self, flow: Flow[Any], *outcomes: object) -> Any:
        """Drives the flow to its end, answering its steps but Sleep with the outcomes in their order; exceptions are thrown."""
        script = list(outcomes)
        try:
            step = next(flow)
            while True:
                self.steps.append(step)
                if isinstance(step, Sleep):
                    self.now += step.seconds
                    step = flow.send(None)
                    continue
                outcome = script.pop(0)
                if callable(outcome):
                    outcome = outcome()
                step = flow.throw(outcome) if isinstance(outcome, Exception) else flow.send(outcome)
        except StopIteration as end:
            assert not script, f"the flow ended before {script}"
            return end.value

    @property
    def calls(self) -> list[Call]:
        """The calls made, those of a Gather one by one."""
        made: list[Call] = []
        for step in self.steps:
            made += [step] if isinstance(step, Call) else step.calls if isinstance(step, Gather) else []
        return made

    @property
    def sleeps(self) -> list[float]:
        """The seconds of each Sleep."""
        return [step.seconds for step in self.steps if isinstance(step, Sleep)]
