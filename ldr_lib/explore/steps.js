// A slider over training steps. They are log-spaced, so that one notch is one step of the list.
// Nothing where there are no steps; `make` makes an element, `action` is called with the number of the notch.
function stepSlider(make, steps, action) {
  if (!steps.length) return null;
  const words = steps.map((step) => step.toLocaleString("en")), shown = make("strong");
  const input = make("input", { type: "range", min: 0, max: steps.length - 1, step: 1, value: 0, "aria-label": "training step" });
  const show = (notch) => {
    input.value = notch;
    shown.textContent = words[notch];
    input.setAttribute("aria-valuetext", `step ${words[notch]} of ${words.at(-1)}`);
  };
  input.addEventListener("input", () => { show(+input.value); action(+input.value); });
  show(0);
  return { show, label: make("label", { class: "ldr-steps" }, "training step ", shown, words[0], input, words.at(-1)) };
}
