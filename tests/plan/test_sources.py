"""What can be downloaded, and under which name it is put down: nothing secret in a URL, nothing harmful in a name."""

from __future__ import annotations

import contextlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.plan.errors import UserError, inert
from engine.plan.sources import Address, HubModel, download_command, file_name, is_hub_name, is_source, source_of


@pytest.mark.parametrize(
    "name", ["stabilityai/stable-diffusion-xl-base-1.0", "RunDiffusion/Juggernaut-XL-v9", "a/b", "x_1/y.z"]
)
def test_names_on_hugging_face(name):
    assert source_of(f" {name} ") == HubModel(name)
    assert download_command(name) == f"lora-tui download {name}"


@pytest.mark.parametrize(
    "text",
    [
        "micro", "a/b/c", "/models/x", "./models", "../x", "~/x", "a/b.safetensors", "a/b.ckpt", "a/..", "a--b/c", "a/",
        "a b/c", "é/x", "-a/b", "a/b\n/c", "x" * 97 + "/y",
    ],
)  # fmt: skip
def test_what_is_no_such_name(text):
    assert not is_hub_name(text)


def test_an_address_loses_what_the_server_never_sees():
    address = source_of("https://example.org/m.safetensors?fileId=3#top")
    assert address == Address("https://example.org/m.safetensors?fileId=3")
    assert isinstance(address, Address)
    assert address.host == "example.org"


@pytest.mark.parametrize("name", ["token", "Token", "api_key", "access_token"])
def test_a_token_in_an_address_is_refused_and_not_repeated(name):
    with pytest.raises(UserError) as error:
        source_of(f"https://civitai.com/api/download/models/1?type=Model&{name}=very-secret")
    assert error.value.code == "token-in-url"
    assert "very-secret" not in str(error.value)
    assert "CIVITAI_TOKEN" in error.value.hint


@pytest.mark.parametrize("text", ["http://x.org/m", "ftp://x.org/m", "file:///m", "https:///m", "https://a b/m", "://"])
def test_only_https(text):
    assert not is_source(text)


@pytest.mark.parametrize(
    ("disposition", "url", "name"),
    [
        ("", "https://x.org/a/My%20XL.safetensors?x=1", "My XL.safetensors"),
        ('attachment; filename="juggernaut.safetensors"', "https://x.org/1", "juggernaut.safetensors"),
        ("attachment; filename=juggernaut.safetensors; size=1", "https://x.org/1", "juggernaut.safetensors"),
        ("attachment; filename*=UTF-8''%C3%A9t%C3%A9.safetensors; filename=e", "https://x.org/1", "été.safetensors"),
        ('attachment; filename="été.safetensors"'.encode().decode("latin-1"), "https://x.org/1", "été.safetensors"),
        ('filename="../../etc/passwd"', "https://x.org/1", "passwd.safetensors"),
        ('filename="C:\\\\x\\\\y.safetensors"', "https://x.org/1", "y.safetensors"),
        ('filename=".bashrc"', "https://x.org/1", "bashrc.safetensors"),
        ('filename=".."', "https://x.org/%2e%2e%2f", "model.safetensors"),
        ('filename="a\x1b[31mb.SafeTensors"', "https://x.org/1", "a_[31mb.safetensors"),
        ("", "https://x.org", "model.safetensors"),
        ("", "https://x.org/" + "x" * 300, "x" * 200 + ".safetensors"),
    ],
)
def test_the_name_of_the_file(disposition, url, name):
    assert file_name(disposition, url) == name


@given(st.text(max_size=400), st.text(max_size=400))
def test_no_header_and_no_url_makes_a_harmful_name(disposition, path):
    name = file_name(f'attachment; filename="{disposition}"', f"https://example.org/{path.replace('[', '')}")
    assert name.endswith(".safetensors")
    assert "/" not in name
    assert not name.startswith((".", " "))
    assert inert(name) == name
    assert len(os.fsencode(f"{name}.part.json")) <= 255


@given(st.text(max_size=200))
def test_no_text_makes_it_stumble(text):
    for whole in (text, f"https://{text}", f"https://x.org/{text}"):
        with contextlib.suppress(UserError):
            source_of(whole)
