"""From texts to the numbers that the two text encoders are given: how long a text may be, what brackets mean.

A long text is cut into chunks of 75 tokens, each with a start and an end of its own, as CLIP knows texts of 77 tokens
only (sd-scripts: `TokenizeStrategy._get_input_ids`, `_get_weighted_input_ids`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import CLIPTokenizer

from engine.device import send
from engine.models.tokenizer import MAX_TOKENS
from engine.plan.weighted_text import has_weights, weighted_parts

CHUNK = MAX_TOKENS - 2
SECOND_ENCODERS_PADDING = 0


@dataclass(frozen=True)
class TokenIds:
    """What the two text encoders are given for B texts of n chunks: `first`, `second` (B·n, 77) int64.

    `weights` (B, 75·n + 2) fp32 belongs to the chunks put together; None where no word has a weight. `restored`: each
    text's mean is what it would be without weights.
    """

    first: Tensor
    second: Tensor
    chunks: int = 1
    weights: Tensor | None = None
    restored: bool = False

    def to(self, device: torch.device) -> TokenIds:
        """The same on `device`, without waiting for it."""
        weights = None if self.weights is None else send(self.weights, device)
        return TokenIds(send(self.first, device), send(self.second, device), self.chunks, weights, self.restored)


@dataclass(frozen=True)
class Reading:
    """How texts are read. `max_tokens`: 75, 150 or 225, the rest of a text is cut off; `weighted`: brackets are weights
    (`plan.weighted_text`) and no letters. What they weigh keeps its mean where that is `restored`, as A1111 does with
    prompts; sd-scripts' SDXL training only multiplies (`SdxlTextEncodingStrategy.encode_tokens_with_weights`)."""

    max_tokens: int = CHUNK
    weighted: bool = False
    restored: bool = False

    def key(self, text: str) -> tuple[object, ...]:
        """What beside the text itself decides its encoding; empty for one that is read as usual."""
        weighted = self.weighted and has_weights(text)
        if weighted and not self.restored:
            return (self.max_tokens, "multiplied")
        return (self.max_tokens, weighted) if weighted or self.max_tokens != CHUNK else ()

    def token_ids(self, tokenizer: CLIPTokenizer, texts: Sequence[str]) -> TokenIds:
        """Ids for both encoders, on the CPU.

        Each chunk: start, at most 75 tokens, end; then padding, which is the end token for the first encoder and 0 for
        the second.
        """
        chunks = self.max_tokens // CHUNK
        read = [self._read(tokenizer, text) for text in texts]
        first = torch.full((len(read) * chunks, MAX_TOKENS), tokenizer.eos_token_id)
        second = torch.full((len(read) * chunks, MAX_TOKENS), SECOND_ENCODERS_PADDING)
        weights = torch.ones(len(read), self.max_tokens + 2)
        for number, (tokens, their_weights) in enumerate(read):
            weights[number, 1 : len(tokens) + 1] = torch.tensor(their_weights)
            for chunk in range(chunks):
                inside = tokens[chunk * CHUNK : (chunk + 1) * CHUNK]
                row = torch.tensor([tokenizer.bos_token_id, *inside, tokenizer.eos_token_id])
                place = number * chunks + chunk
                first[place, : len(row)] = second[place, : len(row)] = row
        return TokenIds(first, second, chunks, weights if bool((weights != 1).any()) else None, self.restored)

    def _read(self, tokenizer: CLIPTokenizer, text: str) -> tuple[list[int], list[float]]:
        """Tokens without start and end, at most `max_tokens`, and the weight of each."""
        tokens: list[int] = []
        weights: list[float] = []
        for part, weight in weighted_parts(text) if self.weighted else [(text, 1.0)]:
            inside = tokenizer(part, truncation=True, max_length=self.max_tokens + 2).input_ids[1:-1]
            tokens += inside
            weights += [weight] * len(inside)
        return tokens[: self.max_tokens], weights[: self.max_tokens]


def chunks_joined(states: Tensor, chunks: int) -> Tensor:
    """(B·n, 77, d) as (B, 75·n + 2, d): the first start and the last end stay, those between the chunks go."""
    if chunks == 1:
        return states
    apart = states.unflatten(0, (-1, chunks))
    return torch.cat([apart[:, 0, :1], apart[:, :, 1:-1].flatten(1, 2), apart[:, -1, -1:]], dim=1)


def weighed(states: Tensor, weights: Tensor | None, restored: bool = False) -> Tensor:
    """`states` (B, tokens, d) times `weights` (B, tokens); `restored`: then scaled so that each text's mean is what it
    was, as A1111 and sd-scripts' `get_weighted_text_embeddings` do."""
    if weights is None:
        return states
    changed = states.float() * weights[..., None]
    if restored:
        before, after = (values.mean(dim=(-2, -1), keepdim=True) for values in (states.float(), changed))
        changed = changed * (before / after)
    return changed.to(states.dtype)
