"""How the conversations of one list become tokens: which template they want, and what ends an answer."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgekd.errors import InputError
from edgekd.fields.conversation import END_BYTE
from edgekd.learn.data.chat_rows import Dialogue
from edgekd.learn.data.chat_rows import TextAnswer
from edgekd.learn.data.chat_template import HINT
from edgekd.learn.data.chat_template import ChatTemplate
from edgekd.learn.data.chat_template import read_template
from edgekd.learn.data.chat_tokens import ChatForm
from edgekd.learn.data.chat_tokens import ChatTokens
from edgekd.learn.data.chat_tokens import ask_form
from edgekd.learn.data.chat_tokens import encode_dialogues
from edgekd.learn.data.chat_tokens import encode_texts
from edgekd.learn.data.encoding import Encoding
from edgekd.learn.data.encoding import TokenizerEncoding
from edgekd.learn.data.encoding import find_tokenizer


class ChatEncoding:
    """How conversations of a list become tokens."""

    def __init__(
        self,
        encoding: Encoding,
        tokenizer: str | None,
        template: str | None,
        data_dir: Path | None,
        parsed: Sequence[TextAnswer | Dialogue],
        path: Path,
    ) -> None:
        """
        Raises:
            InputError: if messages have no template, or plain texts are given one; if nothing can end an answer.
            MachineError: if a package is missing.
        """
        self._encoding = encoding
        kinds = {type(each) for each in parsed}
        if len(kinds) > 1:
            raise InputError(
                f"{path}: got rows of messages and rows of plain text, want one of both"
            )
        self.template: ChatTemplate | None = None
        self._form: ChatForm | None = None
        if Dialogue in kinds:
            self.template = _find_template(encoding, tokenizer, template, data_dir, path)
            assert isinstance(encoding, TokenizerEncoding)
            self._form = ask_form(self.template, encoding.tokenizer)
        elif template is not None:
            raise InputError(
                f"template: got {template!r} for {path}, whose prompts are plain text, want messages",
                hint='{"prompt": [{"role": "user", "content": "..."}], "completion": [{"role": "assistant", ...}]}',
            )
        self.end = self._find_end(path)

    def _find_end(self, path: Path) -> int:
        if self._form is not None:
            return self._form.end
        if not isinstance(self._encoding, TokenizerEncoding):
            return END_BYTE
        end = self._encoding.tokenizer.end
        if end is None:
            raise InputError(
                f"{path}: got a tokenizer whose texts have no end, want a token that ends an answer"
            )
        return end

    def encode(self, parsed: Sequence[TextAnswer | Dialogue]) -> Iterator[ChatTokens | str]:
        """Yield the tokens of each, or a sentence about what cannot be used."""
        if self.template is None or not isinstance(self._encoding, TokenizerEncoding):
            for each in parsed:
                assert isinstance(each, TextAnswer)
                yield encode_texts(each, self._encoding, self.end)
            return
        dialogues = [each for each in parsed if isinstance(each, Dialogue)]
        yield from encode_dialogues(dialogues, self.template, self._encoding.tokenizer)

    def describe(self) -> dict[str, Any]:
        """What `edgekd.fields.conversation.Conversation` says of it."""
        if self.template is None or self._form is None:
            return {"end": self.end}
        around = {"before": self._form.before, "behind": self._form.behind}
        return {"end": self.end, "special": False, **around, "template": self.template.digest}


def _find_template(
    encoding: Encoding,
    tokenizer: str | None,
    template: str | None,
    data_dir: Path | None,
    path: Path,
) -> ChatTemplate:
    if not isinstance(encoding, TokenizerEncoding):
        raise InputError(
            f"{path}: got messages to be read as bytes, want a tokenizer with a chat template",
            hint=f"{{name: chat, reference: {path}, tokenizer: FOLDER}}, whose tokenizer.json and chat_template.jinja or "
            "tokenizer_config.json are read",
        )
    (place,) = find_tokenizer(tokenizer, data_dir)
    found = read_template(place, template, data_dir)
    if found is None:
        raise InputError(f"{path}: got messages, and no chat template beside {place}", hint=HINT)
    return found
