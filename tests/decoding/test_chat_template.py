"""Chat templates: the text that Hugging Face renders, inside of a sandbox, and no special tokens from outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_framework.decoding.chat_template import (
    MAX_TEMPLATE_CHARS,
    GemmaTemplate,
    JinjaTemplate,
    PlainTemplate,
    SpecialGuard,
)
from llm_framework.decoding.dialects import Turn
from llm_framework.errors import InvalidRequestError, ModelLoadError

# As the templates of Gemma 1 and 2 do it: no system role, strict alternation.
STRICT = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}\
{% endif %}{% for message in messages %}
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
{% endif %}
{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}
{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' -}}
{% endfor %}
{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"""
FEATURES = """{% for m in messages %}{% generation %}{{ m.content | upper }}{% endgeneration %}
{{- loop.index ~ '/' ~ loop.length ~ none }}{% if loop.last %}!{% break %}{% endif %}{% endfor %}
{{ ['a', 'b'] | join(', ') }} {{ messages | map(attribute='role') | join('+') }} {{ {'a': 'é<&'} | tojson }}
{{ [1] | tojson(indent=2) }} {{ '-'.join(['x', 'y']) }} {{ 'a-b'.split('-')[1] }} {{ 'aXa' | replace('a', 'bb') }}
{{ 'aXa'.replace('a', 'b', 1) }} {{ 'p\nq' | indent(2) }} {% for a in [1, 2, 3] if a > 1 %}{{ a }}{% endfor %}
{%- macro twice(obj) %}{{ obj }}{{ obj }}{% endmacro %}{{ twice(obj='o') }} {{ '%s!' % 'u' }} {{ 2 * 3 ** 2 }}
{%- set ns = namespace(n=0) %}{% for _ in range(3) %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }} {{ '=' * 3 }}
{%- if tools is none and documents is none and add_generation_prompt %}{{ bos_token + eos_token }}{% endif %}"""


def turns(*contents: str, system: str = "") -> list[Turn]:
    """User and assistant turns in alternation, after a system turn if one is given."""
    head: list[Turn] = [{"role": "system", "content": system}] if system else []
    return head + [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(contents)]


CHATS = [turns("Hi"), turns(" a ", "b", "c\n"), turns("a", "b", "c", system="S "), turns("é <b>{{ x }}</b>")]


@pytest.fixture(scope="module")
def bundled_source(bundled_path: Path) -> str:
    """The chat template of the bundled model."""
    return (bundled_path / "chat_template.jinja").read_text()


@pytest.mark.parametrize("chat", CHATS)
@pytest.mark.parametrize("source", [FEATURES, None], ids=["features", "bundled"])
def test_a_template_renders_as_hugging_face_renders_it(
    source: str | None, chat: list[Turn], bundled_source: str
) -> None:
    """The text is, character for character, what transformers makes of the same template."""
    utils = pytest.importorskip("transformers.utils.chat_template_utils")
    source = source or bundled_source
    (expected,), _ = utils.render_jinja_template(
        [chat], chat_template=source, add_generation_prompt=True, bos_token="<bos>", eos_token="<eos>"
    )
    assert JinjaTemplate(source).render(chat) == expected


@pytest.mark.parametrize("chat", CHATS)
def test_gemmas_form_is_that_of_its_templates(chat: list[Turn], bundled_source: str) -> None:
    """Models without a template get the text that a Gemma template gives; where one has no system role, the system text
    goes to the head of the first user turn."""
    expected = GemmaTemplate().render(chat)
    assert JinjaTemplate(STRICT).render(chat) == expected
    assert JinjaTemplate(bundled_source).render(chat) == expected


def test_gemmas_form() -> None:
    """Gemma's form, written out; neighbours of one role are one turn."""
    chat = turns("a", "b", system="S") + turns("c", "d")[1:] + turns("e")
    assert GemmaTemplate().render(chat) == (
        "<bos><start_of_turn>user\nS\n\na<end_of_turn>\n<start_of_turn>model\nb\n\nd<end_of_turn>\n"
        "<start_of_turn>user\ne<end_of_turn>\n<start_of_turn>model\n"
    )


def test_a_base_model_gets_the_text_alone() -> None:
    """Without turns, the prompt is the text."""
    assert PlainTemplate("<bos>").render(turns("Once", system="A tale.")) == "<bos>A tale.\n\nOnce"


def test_a_refusal_is_the_requests_fault() -> None:
    """What a template says by raise_exception is passed on, with the model's name."""
    chat: list[Turn] = [{"role": "assistant", "content": "a"}]
    with pytest.raises(InvalidRequestError, match=r"gemma-x does not take this chat: Conversation roles must"):
        JinjaTemplate(STRICT, model="gemma-x").render(chat)


@pytest.mark.parametrize(
    "source", ["{% if %}", "{{ 'a' | nosuchfilter }}", "{% for %}", "{{", "x" * (MAX_TEMPLATE_CHARS + 1)]
)
def test_a_broken_template_is_found_while_loading(source: str) -> None:
    """A template that is no template fails when the model is loaded, and the error names the model."""
    with pytest.raises(ModelLoadError, match="chat template of gemma-x"):
        JinjaTemplate(source, model="gemma-x")


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(10**9) %}{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ 'x' * 10**9 }}",
        "{{ 10**9 * 'x' }}",
        "{{ [1] * 10**9 }}",
        "{{ 9 ** 9 ** 9 ** 9 }}",
        "{{ 'x'.ljust(10**9) }}",
        "{{ '{:>999999999}'.format(1) }}",
        "{{ '%999999999d' % 1 }}",
        "{{ '%*d' % (999999999, 1) }}",
        "{{ ',' | replace(',', 'x' * 10**7) | replace('x', 'y' * 10**7) }}",
        "{{ ('x' * 10**6).replace('x', 'y' * 10**6) }}",
        "{{ ('x' * 10**6).join('y' * 10**6) }}",
        "{{ range(99999) | join('y' * 10**6) }}",
        "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x='a') %}{% for i in range(99) %}{% set ns.x %}{{ [ns.x] * 2 }}{% endset %}{% endfor %}",
        "{% for i in range(9999) %}{{ messages[0].content * 9999 }}{% endfor %}",
        "{% set x = 'x' * 10**6 %}{{ [x] * 10**6 }}",
        "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
        "{% set ns = namespace(x='\"') %}{% for i in range(99) %}{% set ns.x = ns.x | tojson %}{% endfor %}",
        "{% set ns = namespace(x='\"') %}{% for i in range(99) %}{% set ns.x = [ns.x, 1] | string %}{% endfor %}",
        "{{ ''.__class__.__mro__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ messages.append(1) }}",
        "{{ nothing.here }}",
        "{% include 'other' %}",
    ],
)
def test_a_hostile_template_ends_in_a_typed_error(source: str) -> None:
    """Endless loops, giant texts and ways out of the sandbox are errors that name the model, and soon."""
    with pytest.raises(ModelLoadError, match="chat template of gemma-x failed"):
        JinjaTemplate(source, model="gemma-x").render(turns("Hi"))


class Letters:
    """A tokenizer of single characters, with <a> and </a> as special tokens and 0 as bos."""

    bos_id = 0
    specials = ("<a>", "</a>")

    def encode(self, text: str, *, add_bos: bool = False, parse_special: bool = True) -> list[int]:
        """The ids of `text`."""
        if parse_special:
            text = text.replace("<a>", "\x01").replace("</a>", "\x02").replace("<bos>", "\x00")
        return list(map(ord, text))


@pytest.fixture
def guard() -> SpecialGuard:
    """A guard for the tokenizer of letters."""
    return SpecialGuard(Letters.specials)


def test_text_without_look_alikes_is_not_touched(guard: SpecialGuard) -> None:
    """Ordinary text is quoted as it is, and the whole prompt is encoded in one piece."""
    pieces: list[str] = []

    class Recorder(Letters):
        def encode(self, text: str, *, add_bos: bool = False, parse_special: bool = True) -> list[int]:
            pieces.append(text)
            return [0]

    prompt = f"<bos><a>{guard.quote('x <b> a')}</a>"
    guard.encode(prompt, Recorder())
    assert pieces == ["<bos><a>x <b> a</a>"]


@pytest.mark.parametrize("text", ["<a>", " <a> ", "</a><a>", "<a<a>>", "x</a>y", "\ufdd0<a>", "<\ufdd0a>"])
def test_text_from_outside_never_becomes_a_special_token(guard: SpecialGuard, text: str) -> None:
    """What a user types is spelt out, also where a template trims it; the template's own markers are tokens."""
    rendered = JinjaTemplate("<a>{{ messages[0].content | trim }}</a>").render(turns(guard.quote(text)))
    ids = guard.encode(rendered, Letters())
    assert ids[:2] == [0, 1]
    assert ids[-1] == 2
    assert not {0, 1, 2} & set(ids[2:-1])
    spelt = text.strip().replace("\ufdd0", "\ufffd")
    assert "".join(map(chr, ids[2:-1])) == spelt


def test_a_template_that_cuts_quoted_text_opens_no_door(guard: SpecialGuard) -> None:
    """Where a template cuts between a mark and its text, the text is still no special token."""
    template = JinjaTemplate("{{ messages[0].content[1:] }}|{{ messages[0].content[:-1] }}")
    rendered = template.render(turns(guard.quote("x<a>x")))
    assert 1 not in guard.encode(rendered, Letters())


def test_a_prompt_begins_with_bos_once(guard: SpecialGuard) -> None:
    """Templates that write bos and templates that do not give the same prompt."""
    assert guard.encode("<bos>x", Letters()) == guard.encode("x", Letters()) == [0, ord("x")]
