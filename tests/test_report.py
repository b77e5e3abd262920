"""report.html in a real Chromium: what a person sees, what a search finds, and that nothing in a picture's text comes alive."""

import io
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from vision_grpc import ImageError, v1
from vision_grpc.emulator.annotators import annotate
from vision_grpc.report import local_picture, write_report
from vision_grpc.results import ImageResult

EXAMPLES = sorted((Path(__file__).parents[1] / "examples" / "images").iterdir())
QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --window-size=1400,1000"
)
EVIL = "</script><script>window.hacked = 1</script><!--<script>&lt;<img src=x onerror='window.hacked = 2'>"
COLORS = ["red", "green", "blue"]


def program(name: str) -> str:
    """The path of a program of Debian's chromium packages."""
    path = shutil.which(name)
    if path is None:
        pytest.fail(f"{name} is missing, which the report is looked at with: apt-get install chromium chromium-driver", pytrace=False)
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A headless Chromium that touches no network."""
    options = webdriver.ChromeOptions()
    options.binary_location = program("chromium")
    for flag in QUIET.split():
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(program("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


Open = Callable[..., None]


@pytest.fixture
def show(browser: webdriver.Chrome, tmp_path: Path) -> Iterator[Open]:
    """Writes a report and opens it. After the test the page must have said nothing on the console."""

    def show(results: list[ImageResult], **options: Any) -> None:
        write_report(results, tmp_path / "report.html", **options)
        browser.get((tmp_path / "report.html").as_uri())

    browser.get_log("browser")  # type: ignore[no-untyped-call]
    yield show
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]


def jpeg(size: tuple[int, int] = (64, 48), color: str = "teal", **options: Any) -> bytes:
    """A picture of one colour."""
    out = io.BytesIO()
    Image.new("RGB", size, color).save(out, "JPEG", **options)
    return out.getvalue()


def box(left: int, top: int, right: int, bottom: int) -> v1.BoundingPoly:
    """An upright rectangle."""
    return v1.BoundingPoly(vertices=[v1.Vertex(x=x, y=y) for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))])


def result(index: int, name: str = "", text: str = "", labels: str = "", error: int = 0, message: str = "Bad image data.") -> ImageResult:
    """A result with a text and labels, handmade."""
    response = v1.AnnotateImageResponse()
    uri = name or f"gs://photos/{index:05}.jpg"
    if text:
        response.text_annotations.add(description=text, bounding_poly=box(0, 0, 60, 40))
        for place, word in enumerate(text.split()):
            response.text_annotations.add(description=word, bounding_poly=box(place * 10, 5, place * 10 + 8, 15))
    for label in labels.split():
        response.label_annotations.add(description=label, score=0.9)
    return ImageResult(index, uri, response, ImageError(error, message, index=index, uri=uri) if error else None)


def cards(browser: webdriver.Chrome) -> list[str]:
    """The names of the pictures that are shown, in their order."""
    return [element.text for element in browser.find_elements(By.CSS_SELECTOR, "main article h2")]


def one(browser: webdriver.Chrome, selector: str) -> WebElement:
    return browser.find_element(By.CSS_SELECTOR, selector)


def press(browser: webdriver.Chrome, key: str) -> None:
    """Presses a key, wherever the focus is."""
    webdriver.ActionChains(browser).send_keys(key).perform()


def screen(browser: webdriver.Chrome) -> Image.Image:
    """What is on the screen once every picture is decoded."""
    browser.execute_async_script("Promise.all([...document.images].map(image => image.decode())).then(() => arguments[0]())")
    return Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")


def search(browser: webdriver.Chrome, words: str, status: str) -> None:
    """Types into the search box and waits until the page answers that very search; the status must then say that."""
    field = one(browser, "#query")
    field.clear()
    field.send_keys(words)
    wait = WebDriverWait(browser, 60, poll_frequency=0.02)
    # The status alone cannot tell: the search before, or a part of these words, may have found as many pictures.
    wait.until(lambda _: one(browser, "#results").get_attribute("aria-busy") == "false", f"the search for {words!r} never ended")
    assert status in one(browser, "#status").text


def test_real_annotations_are_shown(show: Open, browser: webdriver.Chrome) -> None:
    """The example pictures, annotated by the embedded server, appear with their pixels, boxes, text, colours and errors."""
    types = (v1.Feature.Type.FACE_DETECTION, v1.Feature.Type.DOCUMENT_TEXT_DETECTION, v1.Feature.Type.IMAGE_PROPERTIES)
    request = v1.AnnotateImageRequest(features=[v1.Feature(type=kind) for kind in types])
    results = []
    for index, path in enumerate(EXAMPLES):
        response = annotate(path.read_bytes(), request)
        error = ImageError(response.error.code, response.error.message, index=index, uri=str(path)) if response.error.code else None
        results.append(ImageResult(index, str(path), response, error))
    show(results, title="Examples")
    assert cards(browser)[0] == "broken.jpg"
    assert len(cards(browser)) == len(EXAMPLES)
    assert "INVALID_ARGUMENT" in one(browser, "#summary").text
    search(browser, "harbour street", "2 pictures that fit")
    assert sorted(cards(browser)) == ["receipt.png", "sign.png"]
    assert {mark.text.lower() for mark in browser.find_elements(By.CSS_SELECTOR, "pre mark")} == {"harbour", "street"}
    assert len(browser.find_elements(By.CSS_SELECTOR, "article .words .hit")) == 2
    assert browser.execute_script("return [...document.images].every(image => image.complete && image.naturalWidth > 0)")
    colors = screen(browser).getcolors(1 << 24)
    assert colors is not None
    assert len(colors) > 500


def everything() -> ImageResult:
    """A result with every kind of annotation that the service returns."""
    response = v1.AnnotateImageResponse(
        face_annotations=[
            v1.FaceAnnotation(
                bounding_poly=box(5, 5, 20, 20), detection_confidence=0.93, roll_angle=-7.5, headwear_likelihood=v1.Likelihood.VERY_LIKELY
            )
        ],
        landmark_annotations=[v1.EntityAnnotation(description="Mont Blanc", score=0.55, bounding_poly=box(1, 1, 60, 30))],
        logo_annotations=[v1.EntityAnnotation(description="Acme", score=0.6, bounding_poly=box(30, 5, 40, 9))],
        label_annotations=[v1.EntityAnnotation(description="Mountain", score=0.97)],
        safe_search_annotation=v1.SafeSearchAnnotation(adult=v1.Likelihood.VERY_UNLIKELY, violence=v1.Likelihood.VERY_LIKELY),
        crop_hints_annotation=v1.CropHintsAnnotation(
            crop_hints=[v1.CropHint(bounding_poly=box(2, 2, 50, 40), confidence=0.5, importance_fraction=0.8)]
        ),
    )
    response.landmark_annotations[0].locations.add().lat_lng.latitude = 45.8326
    unit = [v1.NormalizedVertex(x=x, y=y) for x, y in ((0.25, 0.5), (0.5, 0.5), (0.5, 0.75), (0.25, 0.75))]
    response.localized_object_annotations.add(name="Boat", score=0.77, bounding_poly=v1.BoundingPoly(normalized_vertices=unit))
    response.product_search_results.results.add(score=0.4).product.display_name = "Rain boots"
    response.product_search_results.product_grouped_results.add(bounding_poly=box(40, 20, 60, 40))
    response.web_detection.web_entities.add(description="Alps", score=12.3)
    response.web_detection.best_guess_labels.add(label="alps at dawn")
    for url, title in (("https://example.org/a", "On the Alps"), ("javascript:window.hacked=3", "No link")):
        response.web_detection.pages_with_matching_images.add(url=url, page_title=title)
    color = response.image_properties_annotation.dominant_colors.colors.add(score=0.5, pixel_fraction=0.25)
    color.color.red, color.color.green = 255, 128
    page = response.full_text_annotation.pages.add(width=64, height=48)
    page.property.detected_languages.add(language_code="fr")
    word = page.blocks.add(bounding_box=box(20, 30, 60, 46)).paragraphs.add().words.add(bounding_box=box(22, 32, 40, 38))
    word.symbols.add(text="É")
    word.symbols.add(text="té")
    response.full_text_annotation.text = "Été\n"
    return ImageResult(0, "gs://photos/all.jpg", response)


SAID = [
    *(
        "Text (fr)",
        "Été",
        "Mountain 97 %",
        "Boat 77 %",
        "Mont Blanc 55 % at 45.8326°, 0°",
        "Acme 60 %",
        "#ff8000 25.0 %",
        "Rain boots 40 %",
    ),
    *("Face 1 · 93 % · roll -7.5°, pan 0°, tilt 0°", "headwear very likely", "violence very likely", "adult very unlikely"),
    *("alps at dawn", "Alps 12.30", "On the Alps", "No link", "confidence 50 %, importance 80 %"),
]


def test_every_kind_of_annotation_is_shown(show: Open, browser: webdriver.Chrome) -> None:
    """Everything that the service can return is in the card's words, drawn where it has a place, and found by the feature's filter."""
    show([everything(), result(1)], picture=lambda _: jpeg())
    shown = one(browser, "article").text
    for words in SAID:
        assert words in shown.replace("\n", " ")
    assert [link.text for link in browser.find_elements(By.CSS_SELECTOR, "article a")] == ["On the Alps"]
    drawn = ["crops", "blocks", "words", "landmarks", "logos", "objects", "products", "faces"]
    assert [group.get_attribute("class") for group in browser.find_elements(By.CSS_SELECTOR, "article svg > g")] == drawn
    assert [box.get_attribute("data-kind") for box in browser.find_elements(By.CSS_SELECTOR, "#kinds input")] == drawn
    for feature in browser.find_elements(By.CSS_SELECTOR, "#features button"):
        feature.click()
        assert (cards(browser), feature.get_attribute("aria-pressed")) == (["all.jpg"], "true")
        feature.click()
        assert len(cards(browser)) == 2


def test_kinds_are_switched_off_and_on(show: Open, browser: webdriver.Chrome) -> None:
    """The legend's boxes hide one kind of shape each, by the keyboard too."""
    show([everything()], picture=lambda _: jpeg())
    switch = one(browser, "#kinds input[data-kind=faces]")
    assert one(browser, "article g.faces").is_displayed()
    switch.send_keys(Keys.SPACE)
    assert not one(browser, "article g.faces").is_displayed()
    assert one(browser, "article g.words").is_displayed()
    switch.send_keys(Keys.SPACE)
    assert one(browser, "article g.faces").is_displayed()


def test_errors_come_first_and_are_counted(show: Open, browser: webdriver.Chrome) -> None:
    """Failed images lead in their order, the summary counts each code, and its button shows those alone."""
    show(
        [
            result(0),
            result(1, error=3),
            result(2, labels="cat"),
            result(3, error=5, labels="dog"),
            result(4, error=5, message="Error opening file"),
        ]
    )
    assert cards(browser) == [f"{index:05}.jpg" for index in (1, 3, 4, 0, 2)]
    summary = one(browser, "#summary").text.replace("\n", " ")
    assert "5 pictures 2 without error 3 errors NOT_FOUND 2 INVALID_ARGUMENT 1" in summary
    one(browser, "#summary button").click()
    assert cards(browser) == ["00003.jpg", "00004.jpg"]
    assert "dog" in one(browser, "article").text
    one(browser, "#outcome [value=ok]").click()
    assert cards(browser) == ["00000.jpg", "00002.jpg"]
    one(browser, "#outcome [value=error]").click()
    search(browser, "opening", "1 picture that fit")
    assert cards(browser) == ["00004.jpg"]


def test_search_finds_all_words_anywhere(show: Open, browser: webdriver.Chrome) -> None:
    """All words of a search must occur, in text, labels or names, whatever their case, and regular expressions mean nothing."""
    show(
        [result(0, text="Grüße aus Köln", labels="Bridge"), result(1, text="a+b (c) ["), result(2, name="holiday/Köln.jpg")],
        picture=lambda _: None,
    )
    for words, found in {"KÖLN": 2, "köln bridge": 1, "a+b (c) [": 1, "holiday": 1, ".*": 0}.items():
        search(browser, words, f"{found} picture{'' if found == 1 else 's'} that fit")
        assert len(cards(browser)) == found
    assert "No picture fits." in one(browser, "main").text


def test_text_from_images_does_nothing(show: Open, browser: webdriver.Chrome) -> None:
    """Markup in text, labels, names, errors, web titles and the report's own title is shown to the letter and never runs."""
    wicked = result(0, name=f"gs://photos/{EVIL}", text=EVIL, error=5, message=EVIL)
    wicked.response.label_annotations.add(description=EVIL, score=0.5)
    wicked.response.web_detection.pages_with_matching_images.add(url="javascript:window.hacked = 4", page_title=EVIL)
    wicked.response.localized_object_annotations.add(name=EVIL).bounding_poly.CopyFrom(box(0, 0, 20, 20))
    show([wicked, result(1)], title=EVIL + "%IMAGES%", picture=lambda _: jpeg())
    assert one(browser, "h1").text == EVIL + "%IMAGES%"
    assert one(browser, "article pre").text == EVIL
    assert one(browser, "article .error").text == "NOT_FOUND" + EVIL
    assert one(browser, "article .uri").text.endswith(f"gs://photos/{EVIL}")
    one(browser, "article button.picture").click()
    search_terms = EVIL.split()[0]
    one(browser, "#close").click()
    search(browser, search_terms, "1 picture that fit")
    assert len(browser.find_elements(By.CSS_SELECTOR, "script")) == 2 * 3 + 1
    assert not browser.find_elements(By.CSS_SELECTOR, "main img[src=x], main script, main a")
    assert browser.execute_script("return window.hacked") is None


def test_the_page_may_not_reach_a_network(show: Open, browser: webdriver.Chrome) -> None:
    """Nothing is loaded from anywhere, and the page's policy refuses whatever might try."""
    show([everything()], picture=lambda _: jpeg())
    assert browser.execute_script("return performance.getEntriesByType('resource').filter(entry => !entry.name.startsWith('data:'))") == []
    refused = "return fetch('http://127.0.0.1:9/').then(() => 'sent', error => error.name)"
    assert browser.execute_script(refused) == "TypeError"
    assert all("Content Security Policy" in entry["message"] for entry in browser.get_log("browser"))  # type: ignore[no-untyped-call]
    policy = one(browser, "meta[http-equiv]").get_attribute("content") or ""
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy


def test_boxes_lie_where_the_picture_is(show: Open, browser: webdriver.Chrome) -> None:
    """A picture that its EXIF orientation turns is shown upright, scaled, and a box lies on the pixels that it was made for."""
    picture = Image.new("RGB", (1200, 1600), "white")
    picture.paste((255, 0, 0), (900, 200, 1100, 600))
    stored, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # To be turned clockwise, so stored turned the other way.
    picture.transpose(Image.Transpose.ROTATE_90).save(stored, "JPEG", exif=exif)
    response = v1.AnnotateImageResponse(face_annotations=[v1.FaceAnnotation(bounding_poly=box(900, 200, 1100, 600))])
    show([ImageResult(0, "gs://photos/turned.jpg", response)], picture=lambda _: stored.getvalue())
    shot = screen(browser)
    place = browser.execute_script("return document.querySelector('article g.faces .shape').getBoundingClientRect().toJSON()")
    frame = browser.execute_script("return document.querySelector('article img').getBoundingClientRect().toJSON()")
    assert frame["width"] / frame["height"] == pytest.approx(0.75, abs=0.01)
    middle = (place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    red = [pixel for x in (-0.4, 0, 0.4) for y in (-0.4, 0, 0.4) for pixel in [at(shot, middle, place, x, y)]]
    assert all(pixel[0] > 200 and pixel[1] < 60 for pixel in red)
    around = [at(shot, middle, place, x, y) for x, y in ((-0.7, 0), (0.7, 0), (0, -0.7), (0, 0.7))]
    assert all(min(pixel) > 200 for pixel in around)


def at(shot: Image.Image, middle: tuple[float, float], place: dict[str, float], x: float, y: float) -> tuple[int, ...]:
    """The colour of a screenshot at a point, given from the middle of a box in fractions of its size."""
    pixel = shot.getpixel((int(middle[0] + x * place["width"]), int(middle[1] + y * place["height"])))
    assert isinstance(pixel, tuple)
    return pixel


def test_a_picture_is_enlarged_by_keyboard(show: Open, browser: webdriver.Chrome) -> None:
    """Enter opens a picture, the arrows go on to its neighbours, Escape closes; each word then has its name to point at."""
    show([result(0, text="one two"), result(1, text="three")], picture=lambda _: jpeg())
    browser.execute_script("document.querySelector('article button.picture').focus()")
    press(browser, Keys.ENTER)
    assert one(browser, "#viewer-name").text == "00000.jpg"
    titles = browser.find_elements(By.CSS_SELECTOR, "#viewer .words title")
    assert [title.get_attribute("textContent") for title in titles] == ["one", "two"]
    press(browser, Keys.ARROW_RIGHT)
    assert one(browser, "#viewer-name").text == "00001.jpg"
    press(browser, Keys.ESCAPE)
    assert not one(browser, "#viewer").is_displayed()
    press(browser, "/")
    assert browser.switch_to.active_element.get_attribute("id") == "query"


def test_likelihoods_are_read_in_one_line_each(show: Open, browser: webdriver.Chrome) -> None:
    """Beside the longest name too, the longest word is on one line, and all meters of a column begin at one place."""
    found = result(0)
    for likelihood in v1.Likelihood.values()[1:]:
        found.response.face_annotations.add(under_exposed_likelihood=likelihood, detection_confidence=0.9)
        found.response.face_annotations.add(joy_likelihood=likelihood, detection_confidence=0.9)
    show([found])
    script = "return [...document.querySelectorAll(arguments[0])].map(element => element.getBoundingClientRect()[arguments[1]])"
    for selector, side in ((".likely li", "height"), (".likely meter", "left")):
        places = browser.execute_script(script, selector, side)
        assert (len(places), len(set(places))) == (10, 1), selector


def test_dark_mode_is_dark(show: Open, browser: webdriver.Chrome) -> None:
    """Where the system prefers dark, paper is dark and ink is light."""
    try:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})
        show([result(0)])
        brightness = browser.execute_script(
            "const style = getComputedStyle(document.body);"
            "return [style.backgroundColor, style.color].map(color => color.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0))"
        )
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert brightness[0] < 100 < 600 < brightness[1]


def test_no_results_is_a_page_too(show: Open, browser: webdriver.Chrome) -> None:
    """A report of nothing says so."""
    show([])
    assert "There are no results." in one(browser, "main").text


def test_thousands_of_images_are_paged(show: Open, browser: webdriver.Chrome) -> None:
    """A page of 5,000 images opens and is searched, and no more of them than a page full are ever in the document as elements."""
    pictures = [jpeg(color=color) for color in COLORS]
    results = [result(index, text=f"invoice number n{index} of many", labels=COLORS[index % 3]) for index in range(5000)]
    show(results, picture=lambda uri: pictures[int(uri[-9:-4]) % 3])
    assert len(cards(browser)) == 20
    found = {"n4321": ("1 picture that fit", 1), "invoice red": ("1,667 pictures that fit", 20), "zebra": ("0 pictures that fit", 0)}
    for words, (status, drawn) in found.items():
        search(browser, words, status)
        assert len(browser.find_elements(By.CSS_SELECTOR, "article")) == len(browser.find_elements(By.CSS_SELECTOR, "img")) == drawn
    search(browser, "blue", "1–20 of 1,666")
    one(browser, "#next").click()
    assert cards(browser)[0] == "00062.jpg"
    one(browser, "#gallery").click()
    assert len(cards(browser)) == 60


def test_results_are_taken_only_as_they_are_written(tmp_path: Path) -> None:
    """However many results there are, no more than a dozen or so are in memory at a time."""
    lock, shown, ahead = threading.Lock(), 0, 0

    def picture(_: str) -> None:
        nonlocal shown
        with lock:
            shown += 1

    def results() -> Iterator[ImageResult]:
        nonlocal ahead
        for index in range(500):
            ahead = max(ahead, index - shown)
            yield result(index)

    write_report(results(), tmp_path / "report.html", picture=picture)
    assert shown == 500
    assert ahead <= 16


def test_a_report_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Where the results end in an error, the report of before stays as it was and nothing lies beside it."""

    def results() -> Iterator[ImageResult]:
        yield result(0)
        raise RuntimeError("the shard is cut off")

    (tmp_path / "report.html").write_text("before")
    with pytest.raises(RuntimeError, match="cut off"):
        write_report(results(), tmp_path / "report.html")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("report.html", "before")]
    with pytest.raises(IsADirectoryError, match="is a folder: name a file in it"):
        write_report([], tmp_path)


@pytest.mark.parametrize("loader", [lambda _: None, lambda _: b"no picture"], ids=["none", "broken"])
def test_without_a_picture_the_boxes_remain(show: Open, browser: webdriver.Chrome, loader: Callable[[str], bytes | None]) -> None:
    """Where there is no picture, or one that cannot be read, the boxes are drawn on an empty frame that says why."""
    show([everything(), result(1)], picture=loader)
    assert one(browser, "article g.faces").is_displayed()
    assert one(browser, "article figcaption").text.startswith("No picture: ")
    assert browser.find_elements(By.CSS_SELECTOR, "img") == []
    assert one(browser, ".empty").text.startswith("No picture: ")


def test_without_pillow_the_report_says_what_to_install(show: Open, browser: webdriver.Chrome, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow makes the thumbnails; without it the page is written, and names the extra."""
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    show([result(0)], picture=lambda _: b"\xff\xd8")
    assert one(browser, ".empty").text == "No picture: pictures need Pillow: pip install 'vision-grpc[local]'."


def test_local_pictures_are_found_by_path(tmp_path: Path) -> None:
    """The default loader reads files, leaves URIs alone, and refuses what is no file."""
    (tmp_path / "a.jpg").write_bytes(b"bytes")
    assert local_picture(str(tmp_path / "a.jpg")) == b"bytes"
    assert local_picture("gs://photos/a.jpg") is None
    with pytest.raises(OSError, match="not a regular file"):
        local_picture(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        local_picture(str(tmp_path / "none.jpg"))


def test_a_missing_browser_fails_in_one_sentence() -> None:
    """Where Chromium is not installed these tests fail and say what to install; they do not pass by."""
    with pytest.raises(pytest.fail.Exception, match=r"no-such-browser is missing.*apt-get install chromium chromium-driver"):
        program("no-such-browser")
