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
    const query = (points) => { model.set("points", points); model.save_changes(); };
    const explorer = similarityExplorer(
      el,
      {
        ...scene, images, inside: bytesOf(scene.inside), clusters: scene.clusters && wholeNumbers(bytesOf(scene.clusters), bytesOf(scene.inside).length),
        points: model.get("points"), threshold: model.get("threshold"), message: model.get("message"),
      },
      query,
      {
        save: () => model.send("save"),
        onthreshold: (value) => { model.set("threshold", value); model.save_changes(); },
        onfinding: (value) => { model.set("finding", value); model.save_changes(); },
      },
    );
    const onSimilarity = () => explorer.update(bytesOf(model.get("similarity")), model.get("points"));
    const onFound = () => explorer.showFound(model.get("finding"), model.get("found"));
    const onMessage = () => explorer.say(model.get("message"));
    model.on("change:similarity", onSimilarity);
    model.on("change:message", onMessage);
    model.on("change:finding", onFound);
    model.on("change:found", onFound);
    onSimilarity();
    onFound();
    return () => {
      model.off("change:similarity", onSimilarity);
      model.off("change:message", onMessage);
      model.off("change:finding", onFound);
      model.off("change:found", onFound);
      images.forEach(URL.revokeObjectURL);
    };
  },
};
