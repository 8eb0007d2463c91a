"""WD taggers: pictures prepared as sd-scripts does, and tags chosen and spelt as people expect."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.caption.captioner import Shown
from engine.caption.tagger import Tagger, prepared, read_tags, spaced
from engine.plan.captioners import kind_of
from engine.plan.errors import UserError
from engine.plan.job_options import captioning
from tests.caption.conftest import Caption, caption_of

SIDE = 448
TAGS = [
    ("general", 9),
    ("sensitive", 9),
    ("blue_sky", 0),
    ("red_theme", 0),
    ("^_^", 0),
    ("some_body_(famous)", 4),
]


@pytest.fixture(scope="module")
def tagger_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tagger of the real ones' shape: its certainties are a picture's mean blue and red, and fixed ones."""
    import onnx
    from onnx import TensorProto, helper

    folder = tmp_path_factory.mktemp("tagger")
    # mean over height and width -> (N, 3) blue, green, red; times a matrix, plus a bias -> (N, 6)
    matrix = np.zeros((3, 6), dtype=np.float32)
    matrix[0, 2] = matrix[2, 3] = 1 / 255
    bias = np.array([0.9, 0.8, 0, 0, 0.5, 0.6], dtype=np.float32)
    nodes = [
        helper.make_node("ReduceMean", ["input", "axes"], ["means"], keepdims=0),
        helper.make_node("MatMul", ["means", "matrix"], ["scaled"]),
        helper.make_node("Add", ["scaled", "bias"], ["output"]),
    ]
    constants = [
        helper.make_tensor("axes", TensorProto.INT64, [2], [1, 2]),
        helper.make_tensor("matrix", TensorProto.FLOAT, matrix.shape, matrix.ravel().tolist()),
        helper.make_tensor("bias", TensorProto.FLOAT, bias.shape, bias.tolist()),
    ]
    entry = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", SIDE, SIDE, 3])
    out = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", len(TAGS)])
    graph = helper.make_graph(nodes, "tagger", [entry], [out], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(model, str(folder / "model.onnx"))
    rows = [f"{number},{name},{category},1" for number, (name, category) in enumerate(TAGS)]
    (folder / "selected_tags.csv").write_text("\n".join(["tag_id,name,category,count", *rows]) + "\n")
    return folder


def shown(colour: tuple[int, ...], mode: str = "RGB") -> Shown:
    return Shown(Path("x.png"), Image.new(mode, (60, 60), colour))


def test_a_picture_is_put_on_white_and_padded_and_blue_comes_first():
    red = Image.new("RGBA", (200, 100), (255, 0, 0, 0))
    red.paste((255, 0, 0, 255), (0, 0, 100, 100))
    values = prepared(red, 100)
    assert (values.shape, values.dtype) == ((100, 100, 3), np.float32)
    assert values[10, 50].tolist() == [255, 255, 255]  # padding above
    assert values[50, 20].tolist() == [0, 0, 255]  # red, blue first
    assert values[50, 80].tolist() == [255, 255, 255]  # what was transparent, although red lies under it
    assert prepared(Image.new("RGB", (10, 10), (1, 2, 3)), 30)[5, 5].tolist() == [3, 2, 1]


def test_tags_over_their_thresholds_characters_first_then_the_surest(tagger_folder: Path):
    tagger = Tagger(tagger_folder, captioning({}))
    blue, red, white = tagger.caption([shown((0, 0, 200)), shown((100, 0, 0)), shown((255, 255, 255))])
    assert blue == "some body (famous), blue sky, ^_^"
    assert red == "some body (famous), ^_^, red theme"
    assert white == "some body (famous), blue sky, red theme, ^_^"


def test_thresholds_and_tags_that_nobody_wants(tagger_folder: Path):
    options = captioning(
        {"general_threshold": 0.7, "character_threshold": 0.85, "undesired_tags": "RED_theme, ^_^,, other"}
    )
    assert Tagger(tagger_folder, options).caption([shown((250, 0, 0)), shown((0, 0, 250))]) == ["", "blue sky"]


def test_faces_keep_their_underscores():
    assert [spaced(name) for name in ("^_^", ">_o", "(o)_(o)", "||_||", "long_hair", "a_b")] == [
        "^_^",
        ">_o",
        "(o)_(o)",
        "||_||",
        "long hair",
        "a_b",
    ]


def test_the_job_tags(caption: Caption, tagger_folder: Path):
    assert kind_of(tagger_folder) == "tagger"
    assert caption(model=str(tagger_folder))["written"] == 5
    assert (caption_of(caption.project, "p0") or "").startswith("ohwx, some body (famous), ")


def test_a_damaged_tagger_is_a_sentence(tmp_path: Path, tagger_folder: Path):
    for tags in ("", "name\nx\n", "tag_id,name,category,count\n1,a,b,1\n"):
        (tmp_path / "selected_tags.csv").write_text(tags)
        with pytest.raises(UserError) as error:
            read_tags(tmp_path / "selected_tags.csv")
        assert error.value.code == "damaged"
    (tmp_path / "selected_tags.csv").write_bytes((tagger_folder / "selected_tags.csv").read_bytes())
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(UserError) as error:
        Tagger(tmp_path, captioning({}))
    assert error.value.code == "damaged"


def test_without_onnx_runtime_the_extra_is_named(tagger_folder: Path, monkeypatch: pytest.MonkeyPatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match="tagger") as error:
        Tagger(tagger_folder, captioning({}))
    assert error.value.code == "needs-onnx"
