"""The door of vision_grpc.emulator.annotators: which features are computed, and what becomes of pictures that cannot be."""

import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from vision_grpc import v1
from vision_grpc.emulator import annotators
from vision_grpc.emulator.annotators import SUPPORTED, annotate, annotate_bytes, check_available

IMAGES = Path(__file__).resolve().parents[1] / "examples" / "images"
SIGN = (IMAGES / "sign.png").read_bytes()
SWATCHES = (IMAGES / "swatches.png").read_bytes()
UNSUPPORTED = [
    "LABEL_DETECTION",
    "LANDMARK_DETECTION",
    "LOGO_DETECTION",
    "WEB_DETECTION",
    "SAFE_SEARCH_DETECTION",
    "OBJECT_LOCALIZATION",
    "PRODUCT_SEARCH",
]


def request(*features: str, **context: object) -> v1.AnnotateImageRequest:
    """A request for features by name."""
    return v1.AnnotateImageRequest(features=[v1.Feature(type=name) for name in features], image_context=context)


@pytest.mark.parametrize("feature", UNSUPPORTED)
def test_unsupported_feature_is_an_error_that_names_it(feature: str) -> None:
    """What no library computes honestly gives code 12, the feature's name, and no annotation."""
    response = annotate(SIGN, request(feature))
    assert response.error.code == 12
    assert feature in response.error.message
    assert [field.name for field, _ in response.ListFields()] == ["error"]


def test_other_features_are_annotated_beside_an_unsupported_one() -> None:
    """An error for labels takes nothing from the colours; it names each unsupported feature once, and no other."""
    response = annotate(SWATCHES, request("LABEL_DETECTION", "IMAGE_PROPERTIES", "WEB_DETECTION", "LABEL_DETECTION"))
    assert response.image_properties_annotation.dominant_colors.colors
    assert response.error.code == 12
    assert response.error.message.count("LABEL_DETECTION") == 1
    assert "WEB_DETECTION" in response.error.message
    assert "IMAGE_PROPERTIES" not in response.error.message


def test_unknown_feature_number_is_an_error() -> None:
    """A feature type that this version's enum does not hold is answered like an unsupported one."""
    response = annotate(SWATCHES, v1.AnnotateImageRequest.FromString(b"\x12\x02\x08\x63"))
    assert (response.error.code, "feature type 99" in response.error.message) == (12, True)


def test_supported_and_unsupported_make_up_the_whole_enum() -> None:
    """Every feature type of the API but the unspecified one is either computed or named in an error."""
    names = {v1.Feature.Type.Name(v1.Feature.Type.ValueType(number)) for number in SUPPORTED} | set(UNSUPPORTED)
    assert names == set(v1.Feature.Type.keys()) - {"TYPE_UNSPECIFIED"}


def test_all_features_at_once() -> None:
    """One picture gets every supported annotation in one response, without error and without context."""
    response = annotate(SIGN, request(*(v1.Feature.Type.Name(v1.Feature.Type.ValueType(number)) for number in SUPPORTED)))
    assert response.HasField("full_text_annotation")
    assert response.HasField("image_properties_annotation")
    assert response.HasField("crop_hints_annotation")
    assert not response.HasField("error")
    assert not response.HasField("context")


def test_failure_of_one_annotator_is_reported_and_keeps_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug in an annotator is logged and becomes code 13 with the feature's name; the colours stay."""
    from vision_grpc.emulator.annotators import crops

    def fail(*_: object) -> None:
        raise ZeroDivisionError("bug")

    monkeypatch.setattr(crops, "annotate", fail)
    response = annotate(SWATCHES, request("IMAGE_PROPERTIES", "CROP_HINTS"))
    assert response.error.code == 13
    assert "CROP_HINTS" in response.error.message
    assert "bug" not in response.error.message
    assert response.image_properties_annotation.dominant_colors.colors
    assert "ZeroDivisionError: bug" in caplog.text


def test_bytes_in_bytes_out_equals_messages() -> None:
    """annotate_bytes is annotate with its messages serialized."""
    asked = request("CROP_HINTS", "IMAGE_PROPERTIES")
    assert v1.AnnotateImageResponse.FromString(annotate_bytes(SIGN, asked.SerializeToString())) == annotate(SIGN, asked)


def test_threads_in_parallel_give_what_one_gives() -> None:
    """Several threads share the models without mixing up their pictures, and each picture's answer is always the same."""
    asked = request("TEXT_DETECTION", "FACE_DETECTION", "IMAGE_PROPERTIES")
    contents = [(IMAGES / name).read_bytes() for name in ("sign.png", "receipt.png", "rotated.jpg", "blank.png")]
    alone = [annotate(content, asked) for content in contents]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(annotate, contents * 2, [asked] * 8))
    assert together == alone * 2


def test_worker_process_gives_what_this_one_gives() -> None:
    """annotate_bytes works in a fresh worker process."""
    asked = request("IMAGE_PROPERTIES").SerializeToString()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(annotate_bytes, SIGN, asked).result() == annotate_bytes(SIGN, asked)


def test_missing_package_is_one_sentence_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where RapidOCR is missing, asking for text says so and names the extra; colours need no more than they use."""

    def find(name: str) -> object | None:
        return None if name == "rapidocr" else object()

    annotators._require.cache_clear()
    monkeypatch.setattr(annotators, "find_spec", find)
    check_available([v1.Feature.Type.IMAGE_PROPERTIES, v1.Feature.Type.LABEL_DETECTION])
    with pytest.raises(ImportError, match=r"^TEXT_DETECTION needs rapidocr, .*pip install 'vision-grpc\[local\]'$"):
        check_available([v1.Feature.Type.TEXT_DETECTION])
    monkeypatch.setattr(annotators, "find_spec", lambda name: None)
    annotators._require.cache_clear()
    with pytest.raises(ImportError, match=r"^The embedded server needs numpy, pillow, not installed"):
        check_available([v1.Feature.Type.TYPE_UNSPECIFIED])
    annotators._require.cache_clear()


def test_everything_is_available_here() -> None:
    """The development environment can compute every supported feature."""
    check_available(SUPPORTED)


def test_heavy_packages_are_imported_when_needed() -> None:
    """Importing the package, and annotating colours, loads neither OpenCV nor onnxruntime."""
    program = (
        "import sys; from vision_grpc import v1; from vision_grpc.emulator import annotators\n"
        "assert not {'numpy', 'PIL'} & set(sys.modules), 'import'\n"
        f"annotators.annotate(open({str(IMAGES / 'swatches.png')!r}, 'rb').read(),"
        " v1.AnnotateImageRequest(features=[{'type': 'IMAGE_PROPERTIES'}]))\n"
        "assert not {'cv2', 'onnxruntime', 'rapidocr'} & set(sys.modules), 'annotate'\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
