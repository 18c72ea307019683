const bytesOf = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

export default {
  render({ model, el }) {
    const scene = model.get("scene");
    if (!scene.names) {
      el.classList.add("ldr-explorer");
      const paragraph = document.createElement("p");
      paragraph.className = "ldr-message";
      paragraph.setAttribute("role", "status");
      paragraph.textContent = model.get("message");
      el.replaceChildren(paragraph);
      return;
    }
    const images = scene.images.map((png) => URL.createObjectURL(new Blob([png], { type: "image/png" })));
    const clusters = () => (scene.nClusters ? wholeNumbers(bytesOf(model.get("clusters")), bytesOf(scene.inside).length) : null);
    const query = (points) => { model.set("points", points); model.save_changes(); };
    const explorer = similarityExplorer(
      el,
      {
        ...scene, images, inside: bytesOf(scene.inside), clusters: clusters(),
        points: model.get("points"), threshold: model.get("threshold"), message: model.get("message"),
      },
      query,
      {
        save: () => model.send("save"),
        onthreshold: (value) => { model.set("threshold", value); model.save_changes(); },
        onfinding: (value) => { model.set("finding", value); model.save_changes(); },
        onstep: (notch) => { model.set("step", scene.steps[notch]); model.save_changes(); },
      },
    );
    const onSimilarity = () => explorer.update(bytesOf(model.get("similarity")), model.get("points"));
    const onFound = () => explorer.showFound(model.get("finding"), model.get("found"));
    const onStep = () => explorer.showStep(Math.max(0, scene.steps.indexOf(model.get("step"))), clusters());
    const onMessage = () => explorer.say(model.get("message"));
    const changes = { similarity: onSimilarity, message: onMessage, finding: onFound, found: onFound, step: onStep, clusters: onStep };
    for (const [name, action] of Object.entries(changes)) model.on(`change:${name}`, action);
    onStep();
    onSimilarity();
    onFound();
    return () => {
      for (const [name, action] of Object.entries(changes)) model.off(`change:${name}`, action);
      images.forEach(URL.revokeObjectURL);
    };
  },
};
