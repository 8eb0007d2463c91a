"""Latents and text embeddings are kept by content: encoded once, and anew when anything they depend on has changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.vae import Encoder
from PIL import Image
from safetensors.torch import load_file

from engine.data.cache import Latents, Pixels, Texts
from engine.data.pixels import fit, to_tensor
from engine.models.checkpoint import load
from engine.models.reading import Reading
from engine.models.sdxl import SDXL, identity
from engine.plan.dataset import Picture
from engine.plan.errors import UserError
from tests.micro_model import base_of

CPU = torch.device("cpu")


def quietly(done: int, total: int) -> None:
    """Nobody looks at the progress."""


@pytest.fixture(scope="module")
def model(micro_folder: Path) -> SDXL:
    return load(base_of(micro_folder))


def bmp(path: Path, number: int, size: tuple[int, int] = (64, 64)) -> Path:
    """A picture whose file has the same length whatever it shows."""
    rng = np.random.default_rng(number)
    Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).save(path)
    return path


def described(path: Path, resized: tuple[int, int] = (64, 64), bucket: tuple[int, int] = (64, 64)) -> Picture:
    return Picture(path, "train", "1_a", *resized, resized, bucket, 1, "a", None, False)


Encoded = list[Path]


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> Encoded:
    """The pictures that the VAE was given, in order."""
    seen: Encoded = []
    original = Latents._encode

    def spy(self: Latents, read: Pixels) -> dict[str, torch.Tensor]:
        seen.append(read.path)
        return original(self, read)

    monkeypatch.setattr(Latents, "_encode", spy)
    return seen


@pytest.fixture
def latents(model: SDXL, tmp_path: Path) -> Callable[..., list[tuple[torch.Tensor, torch.Tensor]]]:
    def load_latents(*pictures: Picture) -> list[tuple[torch.Tensor, torch.Tensor]]:
        return Latents(tmp_path / "cache", model, CPU).load(pictures, quietly)

    return load_latents


def test_an_entry_is_the_vaes_own_mean_and_spread_in_fp32(model: SDXL, latents, tmp_path: Path) -> None:
    path = bmp(tmp_path / "a.bmp", 1)
    ((mean, std, _),) = latents(described(path))
    with torch.no_grad():
        posterior = model.vae.encode(to_tensor(Image.open(path))[None]).latent_dist
    assert torch.equal(mean, posterior.mean[0])
    torch.testing.assert_close(std, posterior.std[0])
    assert mean.dtype == std.dtype == torch.float32
    assert mean.shape == (4, 8, 8)
    (file,) = (tmp_path / "cache" / "latents").iterdir()
    assert {t.dtype for t in load_file(file).values()} == {torch.float32}


def test_a_picture_is_encoded_once(latents, encoded: Encoded, tmp_path: Path) -> None:
    pictures = [described(bmp(tmp_path / f"{n}.bmp", n)) for n in range(2)]
    first, second = latents(*pictures), latents(*pictures)
    assert len(encoded) == 2
    assert all(
        torch.equal(a, b)
        for one, other in zip(first, second, strict=True)
        for a, b in zip(one[:2], other[:2], strict=True)
    )


def test_a_changed_picture_of_the_same_name_size_and_time_is_encoded_anew(
    latents, encoded: Encoded, tmp_path: Path
) -> None:
    path = bmp(tmp_path / "a.bmp", 1)
    before, old = path.stat(), latents(described(path))[0][0]
    bmp(path, 2)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    new = latents(described(path))[0][0]
    assert len(encoded) == 2
    assert not torch.allclose(old, new)


def test_the_same_bytes_under_another_name_are_not_encoded_again(latents, encoded: Encoded, tmp_path: Path) -> None:
    path = bmp(tmp_path / "a.bmp", 1)
    first = latents(described(path))[0][0]
    second = latents(described(path.rename(tmp_path / "other name.bmp")))[0][0]
    assert len(encoded) == 1
    assert torch.equal(first, second)


def test_another_size_or_bucket_is_another_entry(latents, encoded: Encoded, tmp_path: Path) -> None:
    path = bmp(tmp_path / "a.bmp", 1, (96, 64))
    for resized, bucket in (((96, 64), (96, 64)), ((96, 64), (64, 64)), ((72, 48), (64, 48)), ((96, 64), (96, 64))):
        ((mean, *_),) = latents(described(path, resized, bucket))
        assert mean.shape == (4, bucket[1] // 8, bucket[0] // 8)
    assert len(encoded) == 3


def test_another_vae_is_another_entry(micro_folder: Path, latents, encoded: Encoded, tmp_path: Path) -> None:
    path = bmp(tmp_path / "a.bmp", 1)
    first = latents(described(path))[0][0]
    other = load(base_of(micro_folder))
    other.vae.quant_conv.weight.data.mul_(2)
    other.vae_identity = identity(other.vae)
    second = Latents(tmp_path / "cache", other, CPU).load([described(path)], quietly)[0][0]
    assert len(encoded) == 2
    assert not torch.allclose(first, second)


@pytest.mark.parametrize("kept", [0, 5, 60, -1])
def test_an_entry_that_was_cut_off_is_made_again(latents, encoded: Encoded, tmp_path: Path, kept: int) -> None:
    path = bmp(tmp_path / "a.bmp", 1)
    whole = latents(described(path))[0][0]
    (file,) = (tmp_path / "cache" / "latents").iterdir()
    content = file.read_bytes()
    file.write_bytes(content[:kept])
    assert torch.equal(latents(described(path))[0][0], whole)
    assert len(encoded) == 2
    assert file.read_bytes() == content


def test_an_interrupted_caching_goes_on_where_it_stopped(
    model: SDXL, latents, encoded: Encoded, tmp_path: Path
) -> None:
    pictures = [described(bmp(tmp_path / f"{n}.bmp", n)) for n in range(3)]

    def interrupt(done: int, total: int) -> None:
        assert total == 3
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Latents(tmp_path / "cache", model, CPU).load(pictures, interrupt)
    latents(*pictures)
    assert encoded == [picture.path for picture in pictures]


def test_a_vae_that_gives_no_numbers_is_refused_with_the_pictures_name(micro_folder: Path, tmp_path: Path) -> None:
    broken = load(base_of(micro_folder))
    broken.vae.quant_conv.weight.data.fill_(float("nan"))
    with pytest.raises(UserError, match=r"a\.bmp") as error:
        Latents(tmp_path / "cache", broken, CPU).load([described(bmp(tmp_path / "a.bmp", 1))], quietly)
    assert error.value.code == "broken-latent"
    assert not (tmp_path / "cache").exists()


def test_a_picture_turned_by_its_camera_is_encoded_upright(latents, tmp_path: Path) -> None:
    upright = Image.open(bmp(tmp_path / "a.bmp", 1, (48, 64)))
    upright.save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90° to the right to see it
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    one, other = (
        latents(described(tmp_path / name, (48, 64), (48, 64)))[0][0] for name in ("upright.png", "turned.png")
    )
    assert torch.equal(one, other)


# --------------------------------------------------------------------------------------------------------------- texts
def texts(model: SDXL, folder: Path, *captions: str) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    return Texts(folder, model, CPU).load(captions, quietly)


def entries(folder: Path) -> set[str]:
    return {path.name for path in (folder / "texts").iterdir()}


def test_each_caption_is_encoded_once_and_as_the_model_does(
    model: SDXL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    original = SDXL.encode_text

    def spy(self: SDXL, captions: list[str], *reading: Reading) -> tuple[torch.Tensor, torch.Tensor]:
        seen.extend(captions)
        return original(self, captions, *reading)

    monkeypatch.setattr(SDXL, "encode_text", spy)
    first = texts(model, tmp_path, "a man", "", "a man", "a dog")
    again = texts(model, tmp_path, "a dog", "a cat", "a man")
    assert seen == ["a man", "", "a dog", "a cat"]
    assert set(again) == {"a dog", "a cat", "a man"}
    for caption, (context, pooled) in first.items():
        with torch.no_grad():
            expected = original(model, [caption])
        assert context.shape == (77, 128)
        torch.testing.assert_close(context, expected[0][0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(pooled, expected[1][0], rtol=1e-4, atol=1e-5)
    assert torch.equal(again["a man"][0], first["a man"][0])


def test_more_captions_than_fit_at_once_keep_their_own_encodings(model: SDXL, tmp_path: Path) -> None:
    captions = [f"a man, number {n}" for n in range(18)]
    together = texts(model, tmp_path / "together", *captions)
    for caption in (captions[0], captions[15], captions[16], captions[17]):
        alone = texts(model, tmp_path / "alone", caption)[caption]
        torch.testing.assert_close(together[caption][0], alone[0], rtol=1e-4, atol=1e-4)
    assert len({float(context.sum()) for context, _ in together.values()}) == 18


def test_another_text_encoder_or_precision_is_another_entry(micro_folder: Path, model: SDXL, tmp_path: Path) -> None:
    first = texts(model, tmp_path, "a man")
    names = entries(tmp_path)
    half = load(base_of(micro_folder), dtype=torch.bfloat16)
    assert texts(half, tmp_path, "a man")["a man"][0].dtype == torch.float32
    other = load(base_of(micro_folder))
    other.text_encoder_2.text_projection.weight.data.mul_(2)
    other.text_identity = identity(other.text_encoder, other.text_encoder_2)
    second = texts(other, tmp_path, "a man")
    assert len(entries(tmp_path)) == 3 > len(names)
    torch.testing.assert_close(second["a man"][1], 2 * first["a man"][1], rtol=1e-4, atol=1e-5)
    for file in (tmp_path / "texts").iterdir():
        assert {t.dtype for t in load_file(file).values()} == {torch.float32}


def test_a_text_entry_that_was_cut_off_is_made_again(model: SDXL, tmp_path: Path) -> None:
    first = texts(model, tmp_path, "a man")["a man"]
    (file,) = (tmp_path / "texts").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    again = texts(model, tmp_path, "a man")["a man"]
    assert torch.equal(first[0], again[0])
    assert len(load_file(file)) == 2


def test_to_tensor_and_fit_are_used_on_the_way(model: SDXL, latents, tmp_path: Path) -> None:
    path = bmp(tmp_path / "a.bmp", 3, (130, 70))
    ((mean, *_),) = latents(described(path, (119, 64), (112, 64)))
    cut = fit(Image.open(path), (119, 64), (112, 64))
    with torch.no_grad():
        expected = model.vae.encode(to_tensor(cut)[None]).latent_dist.mean[0]
    assert torch.equal(mean, expected)


# ------------------------------------------------------------------------------------------------ too little memory
@pytest.fixture
def whole_ones_fit_up_to(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[tuple[int, int]]]:
    """The VAE takes no more than so many pixels at once; what it was given, height and width, is noted."""
    original = Encoder.forward

    def limit(pixels: int) -> list[tuple[int, int]]:
        given: list[tuple[int, int]] = []

        def forward(self: Encoder, sample: torch.Tensor) -> torch.Tensor:
            given.append((sample.shape[2], sample.shape[3]))
            if sample.shape[2] * sample.shape[3] > pixels:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return original(self, sample)

        monkeypatch.setattr(Encoder, "forward", forward)
        return given

    return limit


def test_a_picture_that_does_not_fit_is_encoded_in_tiles_and_never_taken_for_a_whole_one(
    model: SDXL, tmp_path: Path, whole_ones_fit_up_to
) -> None:
    sizes = [(32, 32), (96, 64), (32, 32), (96, 64)]
    pictures = [described(bmp(tmp_path / f"{n}.bmp", n, size), size, size) for n, size in enumerate(sizes)]
    told: list[int] = []
    given = whole_ones_fit_up_to(64 * 32)
    tiled = Latents(tmp_path / "cache", model, CPU, told=told.append).load(pictures, quietly)
    assert told == [32]
    assert given[:2] == [(32, 32), (64, 96)]
    assert (64, 96) not in given[2:]
    assert not model.vae.use_tiling
    assert [tuple(latent.mean.shape) for latent in tiled] == [(4, height // 8, width // 8) for width, height in sizes]
    given.clear()
    again = Latents(tmp_path / "cache", model, CPU, told=told.append).load(pictures, quietly)
    assert given == [(64, 96)]  # tried as a whole, then found
    assert all(torch.equal(one.mean, other.mean) for one, other in zip(tiled, again, strict=True))

    whole_ones_fit_up_to(10**9)
    whole = Latents(tmp_path / "cache", model, CPU).load(pictures, quietly)
    assert torch.equal(whole[0].mean, tiled[0].mean)
    assert not torch.equal(whole[1].mean, tiled[1].mean)
    assert float((whole[1].mean - tiled[1].mean).abs().mean()) < 0.5 * float(whole[1].mean.abs().mean())


def test_a_picture_that_fits_in_no_way_is_named(model: SDXL, tmp_path: Path, whole_ones_fit_up_to) -> None:
    whole_ones_fit_up_to(8)
    with pytest.raises(UserError) as error:
        Latents(tmp_path / "cache", model, CPU).load([described(bmp(tmp_path / "a.bmp", 1))], quietly)
    assert error.value.code == "out-of-memory"
    assert "a.bmp" in error.value.message
    assert not list(tmp_path.glob("cache/**/*.safetensors"))


@pytest.mark.parametrize("times", [1, 9])
def test_a_text_that_does_not_fit_is_tried_twice(
    model: SDXL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    original, left = SDXL.encode_text, times

    def encode_text(self: SDXL, *rest: object) -> object:
        nonlocal left
        left -= 1
        if left >= 0:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return original(self, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(SDXL, "encode_text", encode_text)
    texts = Texts(tmp_path / "cache", model, CPU)
    if times == 1:
        assert list(texts.load(["a"], quietly)) == ["a"]
        return
    with pytest.raises(UserError) as error:
        texts.load(["a"], quietly)
    assert error.value.code == "out-of-memory"
