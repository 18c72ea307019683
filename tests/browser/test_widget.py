"""The widget's program in a real browser, with a model that answers as a notebook's kernel does."""

import pytest

from ldr_lib.explore import SimilarityExplorer

pytestmark = [pytest.mark.browser, pytest.mark.slow]
OPEN = """
async (program) => {
  const url = URL.createObjectURL(new Blob([program], { type: "text/javascript" }));
  const widget = (await import(url)).default;
  const bytes = (values) => new DataView(Uint8Array.from(values).buffer);
  const pixels = (value) => bytes(Array(128).fill(value));
  const png = await new Promise((done) => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [8, 8];
    canvas.toBlob(async (blob) => done(await blob.arrayBuffer()));
  });
  const traits = {
    scene: {
      names: ["a", "b"], width: 8, height: 8, images: [png, png], inside: pixels(1),
      nClusters: 3, steps: [0, 10, 100],
    },
    points: [{ image: 0, row: 3, column: 3, similar: true }],
    threshold: 0.7, message: "Click.", step: 10,
    similarity: pixels(200), clusters: pixels(1), finding: false, found: [],
  };
  const listeners = {};
  window.model = {
    traits,
    get: (name) => traits[name],
    set: (name, value) => {
      traits[name] = value;
      (listeners[`change:${name}`] ?? []).forEach((action) => action());
    },
    on: (event, action) => (listeners[event] ??= []).push(action),
    off: (event, action) => {
      listeners[event] = listeners[event].filter((other) => other !== action);
    },
    save_changes: () => { window.saved = (window.saved ?? 0) + 1; },
    send: () => {},
    listening: () => Object.values(listeners).flat().length,
    answer: (value, cluster) => {
      model.set("clusters", pixels(cluster));
      model.set("similarity", pixels(value));
    },
  };
  const root = document.createElement("div");
  document.body.append(root);
  window.leave = widget.render({ model, el: root });
}
"""


def test_the_slider_asks_the_kernel_and_shows_its_answer(page):
    page.goto("data:text/html,<title>widget</title>")
    page.evaluate(OPEN, SimilarityExplorer._esm)
    slider = page.get_by_label("training step")
    assert slider.input_value() == "1" and slider.get_attribute("max") == "2"
    assert page.locator(".ldr-message").inner_text().startswith("At step 10: 1 point;")
    slider.press("End")
    assert page.evaluate("model.traits.step") == 100 and page.evaluate("saved") == 1
    page.get_by_label("what is shown").select_option("cluster 2")
    assert page.locator("figcaption").all_inner_texts() == ["a: 0.0 %", "b: 0.0 %"]
    page.evaluate("model.answer(100, 2)")
    assert page.locator("figcaption").all_inner_texts() == ["a: 100.0 %", "b: 100.0 %"]
    assert page.locator(".ldr-message").inner_text().startswith("At step 100: 1 point;")
    page.evaluate("model.set('step', 0)")
    assert slider.input_value() == "0" and slider.get_attribute("aria-valuetext") == "step 0 of 100"
    page.get_by_role("button", name="find this point").click()
    assert page.evaluate("model.traits.finding") is True
    page.evaluate(
        "model.set('found', [{row: 1, column: 2, score: 1, found: true}, "
        "{row: 5, column: 6, score: 0.4, found: false}])"
    )
    captions = page.locator("figcaption").all_inner_texts()
    assert ", found (score 1.00)" in captions[0] and "not in this image" in captions[1]
    assert page.evaluate("leave(), model.listening()") == 0
