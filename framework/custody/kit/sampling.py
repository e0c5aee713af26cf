"""Drawing combinations by what came of others, with Optuna's samplers: the extra `tune`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from custody.core.space import DIGITS, Axis, Choice, Combination, Range
from custody.errors import UsageError

SAMPLERS = ("tpe", "cmaes", "qmc")
_TRIES = 50


class Sampler:
    """Asks Optuna and tells it; the same draws for the same seed and the same losses, which are the better the less.

    Nothing is drawn that was learned of. Raises UsageError where Optuna is not installed.
    """

    def __init__(self, axes: Sequence[Axis], kind: str, seed: int) -> None:
        try:
            import optuna

            if kind == "cmaes":
                import cmaes  # noqa: F401
        except ImportError as error:
            message = f"--sampler {kind} needs {error.name}, which is not installed"
            raise UsageError(message, code="E435", help=("pip install 'git-custody[tune]'",)) from error
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._axes = axes
        self._optuna = optuna
        self._distributions = {axis.name: _distribution(optuna, axis) for axis in axes}
        with _quiet():
            self._study = optuna.create_study(sampler=_sampler(optuna, kind, seed), direction="minimize")
        self._asked: dict[Combination, Any] = {}
        self._known: set[Combination] = set()

    def learn(self, combination: Combination, loss: float | None) -> None:
        """Take in what came of a combination; None where it failed."""
        self._known.add(combination)
        asked = self._asked.pop(combination, None)
        states = self._optuna.trial.TrialState
        if asked is not None:
            self._study.tell(asked, loss, state=states.FAIL if loss is None else states.COMPLETE)
        elif loss is not None:
            params = {axis.name: _value(axis, text) for axis, text in zip(self._axes, combination, strict=True)}
            made = self._optuna.trial.create_trial(params=params, distributions=self._distributions, value=loss)
            self._study.add_trial(made)

    def draw(self, count: int) -> tuple[Combination, ...]:
        """Return at most `count` new combinations; fewer where the space has hardly any left."""
        found: list[Combination] = []
        with _quiet():
            for _ in range(count * _TRIES):
                if len(found) == count:
                    break
                trial = self._study.ask(self._distributions)
                combination = tuple(_text(axis, trial.params[axis.name]) for axis in self._axes)
                if combination in self._known or combination in self._asked:
                    self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
                else:
                    self._asked[combination] = trial
                    found.append(combination)
        return tuple(found)


def _distribution(optuna: Any, axis: Axis) -> Any:
    if isinstance(axis, Choice):
        return optuna.distributions.CategoricalDistribution(axis.values)
    kind = optuna.distributions.IntDistribution if axis.integer else optuna.distributions.FloatDistribution
    low, high = (int(axis.low), int(axis.high)) if axis.integer else (axis.low, axis.high)
    return kind(low, high, log=axis.log)


def _sampler(optuna: Any, kind: str, seed: int) -> Any:
    samplers = optuna.samplers
    match kind:
        case "cmaes":
            independent = samplers.RandomSampler(seed=seed)
            return samplers.CmaEsSampler(seed=seed, independent_sampler=independent, warn_independent_sampling=False)
        case "qmc":
            return samplers.QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False)
        case _:
            return samplers.TPESampler(seed=seed, multivariate=True)


def _text(axis: Axis, value: Any) -> str:
    if isinstance(axis, Choice):
        return str(value)
    if axis.integer:
        return str(int(value))
    return repr(min(max(float(f"{value:.{DIGITS}g}"), float(axis.low)), float(axis.high)))


def _value(axis: Axis, text: str) -> Any:
    if isinstance(axis, Range):
        return int(text) if axis.integer else float(text)
    return text


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna's warnings of what is experimental from those who did not choose its settings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
