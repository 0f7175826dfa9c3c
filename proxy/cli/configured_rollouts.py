"""What the verbs share that are about who gets which version: places, configuration, names, and mistakes told."""

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

from proxy.adapters.experiments.ask import variants_of
from proxy.adapters.rollout_state import Damaged
from proxy.cli.posthog_project import Misused
from proxy.config import ConfigError, Configuration, Places, find_places
from proxy.config.load import load
from proxy.domain.prompts import ManagedPrompt, PromptBook
from proxy.domain.rollout import Rollout


class Failed(Exception):
    """It went wrong, and not by a mistake of whoever asked; the text says what to do."""


Run = Callable[[argparse.Namespace], int]


def add_places(parser: argparse.ArgumentParser) -> None:
    """Offer `--config`, `--pricing` and `--data`."""
    parser.add_argument("--config", metavar="DIR", help="folder of prompts.yaml (default: config/)")
    parser.add_argument("--pricing", metavar="FILE", help="your prices (default: pricing.yaml)")
    parser.add_argument("--data", metavar="DIR", help="folder of the journal (default: data/)")


def configured(args: argparse.Namespace) -> tuple[Places, Configuration]:
    """What `serve` would run with. Raises ConfigError."""
    places = find_places(os.environ, config=args.config, pricing=args.pricing, data=args.data)
    return places, load(places.config_dir, places.pricing_file, os.environ)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedRollout:
    """The rollout of a prompt, or of an alias of models. `variants` begin with control."""

    name: str
    rollout: Rollout
    variants: tuple[str, ...]


def rollouts_of(configuration: Configuration) -> list[NamedRollout]:
    """All that are configured: those of prompts, then those of aliases."""
    found = [
        NamedRollout(name=prompt.name, rollout=prompt.rollout, variants=variants_of(prompt.rollout, prompt.variants))
        for prompt in configuration.prompts.prompts.values()
        if prompt.rollout is not None
    ]
    for route in configuration.routing.routes:
        if (chosen := route.rollout) is not None:
            variants = variants_of(chosen.rollout, chosen.targets)
            found.append(NamedRollout(name=route.pattern, rollout=chosen.rollout, variants=variants))
    return found


def rollout_named(configuration: Configuration, name: str) -> NamedRollout:
    """By the prompt, the alias or the flag. Raises Misused."""
    known = rollouts_of(configuration)
    for each in known:
        if name in (each.name, each.rollout.flag):
            return each
    raise Misused(f"There is no rollout {name!r}; there is {', '.join(each.name for each in known) or 'none'}.")


def prompt_named(book: PromptBook, name: str) -> ManagedPrompt:
    """By its name, or by its flag. Raises Misused."""
    for prompt in book.prompts.values():
        if name == prompt.name or (prompt.rollout is not None and name == prompt.rollout.flag):
            return prompt
    raise Misused(f"There is no prompt {name!r}; there is {', '.join(book.prompts) or 'none'}.")


def guarded(run: Run) -> Run:
    """The verb, which tells in a line what is wrong: 2 for a mistake of whoever asked, 1 for anything else."""

    def run_guarded(args: argparse.Namespace) -> int:
        try:
            return run(args)
        except ConfigError as error:
            said, code = "\n".join(map(str, error.problems)), 2
        except Misused as error:
            said, code = str(error), 2
        except Failed as error:
            said, code = str(error), 1
        except Damaged as error:
            said, code = f"{error}: put it back; or move it away, and every rollout runs as configured", 1
        except BrokenPipeError:
            raise  # that is standard output: `main` knows what it means
        except OSError as error:
            said, code = f"{error.filename or args.data or 'the data folder'}: {os.strerror(error.errno or 0)}", 1
        print(said, file=sys.stderr)
        return code

    return run_guarded
