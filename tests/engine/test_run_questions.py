"""A chart whose templates guess a sealed value: three guesses that fail, and then none without a confirmation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory_world import sources
from whole_runs.installation import Installation

if TYPE_CHECKING:
    from whole_runs.ran import Ran

    from agent.adapters.render.pool import Renderers

GUESS = """\
apiVersion: v1
kind: ConfigMap
metadata: {{name: guess}}
data: {{guess: "{number}"}}
# {{{{ if hasPrefix "{guess}" .Values.password }}}}{{{{ end }}}}
"""
VALUE = "kd83hf"


def guessing(guess: str, number: int) -> dict[str, str]:
    return {
        "chart/Chart.yaml": "apiVersion: v2\nname: shop\nversion: 1.2.3\n",
        "chart/values.yaml": "password: ''\n",
        "chart/templates/guess.yaml": GUESS.format(guess=guess, number=number),
    }


def world(renderers: Renderers, guess: str) -> Installation:
    helm = {"chart": {"path": "chart"}, "values": {"password": "vault://main/kv/db#password"}}
    made = Installation(files=guessing(guess, 0), render={"helm": helm})
    made.renderers = sources.Renderers(renderers)
    made.stores.write("kv/db", password=VALUE)
    return made


async def guess(made: Installation, text: str) -> Ran:
    made.push(guessing(text, made.git.head_number))
    return await made.run()


def waits(ran: Ran) -> str:
    """What confirms the question; an empty text where none waits."""
    (error,) = ran.errors
    return str(error.facts.get("confirm", ""))


async def thrice(made: Installation) -> None:
    """Three guesses that are right, of which each tells as much as one commit can."""
    for text in ("k", "kd", "kd8"):
        ran = await guess(made, text)
        assert (ran.problems, ran.writes, waits(ran)) == (["Question ConfigMap/guess"], [], "")


async def test_after_three_that_failed_a_fourth_is_not_answered(renderers: Renderers) -> None:
    made = world(renderers, "x")
    assert (await made.run()).problems == []
    await thrice(made)
    for text in ("kd83", "kd9"):
        ran = await guess(made, text)
        assert (ran.problems, ran.writes) == (["Question ConfigMap/guess"], [])
        assert waits(ran) != ""
    right, wrong = await guess(made, "kd83"), await guess(made, "kd9")
    assert [each.facts.keys() for each in right.errors] == [each.facts.keys() for each in wrong.errors]
    made.restart()
    assert waits(await made.run()) == waits(wrong)
    assert VALUE not in repr((right.audit, right.status, right.messages, right.errors))


async def test_what_was_answered_before_stays_answered(renderers: Renderers) -> None:
    made = world(renderers, "x")
    await made.run()
    await thrice(made)
    ran = await guess(made, "x")
    assert (ran.problems, ran.writes) == ([], ["apply ConfigMap/guess"])
    made.push(
        {**guessing("x", 0), "chart/templates/guess.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: guess}\n"}
    )
    ran = await made.run()
    assert ran.problems == []


async def test_the_same_guess_again_counts_once(renderers: Renderers) -> None:
    made = world(renderers, "x")
    await made.run()
    for _ in range(4):
        assert waits(await guess(made, "k")) == ""
    assert waits(await guess(made, "kd")) == ""
    assert (await guess(made, "y")).problems == []


async def test_a_confirmation_is_for_the_questions_that_it_names_and_allows_three_more_that_fail(
    renderers: Renderers,
) -> None:
    made = world(renderers, "x")
    await made.run()
    await thrice(made)
    word = waits(await guess(made, "kd9"))
    made.annotate(confirm_questions=word)
    assert waits(await guess(made, "kd7")) not in {"", word}
    ran = await guess(made, "kd9")
    assert (ran.problems, ran.writes) == ([], ["apply ConfigMap/guess"])
    for text in ("kd83", "kd83h", "kd83hf"):
        assert waits(await guess(made, text)) == ""
    assert waits(await guess(made, "kd7")) not in {"", word}
    assert waits(await guess(made, "kd6")) not in {"", word}
