/** Below the setting "Regularization folder": having the webui draw a picture for each training picture. */
"use strict";

(() => {
    const TL = window.TrainLora;
    const {h, setText, form} = TL;
    const KEY = "dataset.reg_data_dir";

    let drawing = false;
    /** @type {any} */ let poller = null;
    /** @type {any} */ let parts = null;

    function build() {
        const words = h("p", {class: "tl-note", role: "status"});
        const bar = h("div", {class: "tl-bar-fill"});
        const tag = h("input", {type: "checkbox"});
        const start = TL.button("Draw them", {small: true, id: "tl_reg_draw", click: begin});
        const stop = TL.button("Stop", {small: true, kind: "danger", icon: "stop", id: "tl_reg_stop", hidden: true,
            click: () => TL.api("regularization/stop", {body: {}}).then(poller.wake, () => {})});
        const track = h("div", {class: "tl-bar", role: "progressbar", "aria-label": "Regularization pictures",
            hidden: true}, bar);
        parts = {words, bar, track, tag, start, stop};
        return TL.fold("Have the webui draw them", h("p", {class: "tl-note"}, "The loaded checkpoint draws each " +
            "caption, without the activation tag unless you keep it, with DDIM, at the training's size and seed, " +
            "into the folder reg among your pictures. What is there already stays."),
        h("label", {class: "tl-tick"}, tag, "Keep the activation tag"),
        track, h("div", {class: "tl-row"}, start, stop), words);
    }

    async function begin() {
        parts.start.disabled = true;
        try {
            show(await TL.api("regularization", {body: {job: form.job(), with_tag: parts.tag.checked}}));
            poller.wake();
        } catch {
            // the toast has said why
        }
        parts.start.disabled = drawing;
    }

    function show(state) {
        const ended = drawing && state.state !== "drawing";
        drawing = state.state === "drawing";
        parts.start.disabled = drawing;
        parts.stop.hidden = parts.track.hidden = !drawing;
        parts.bar.style.width = `${state.total ? 100 * state.done / state.total : 0}%`;
        const count = `${state.done} of ${TL.format.plural(state.total, "picture")}`;
        setText(parts.words, {drawing: `${count} drawn`, finished: `${count} drawn`, stopped: `Stopped: ${count} drawn`,
            failed: state.error}[state.state] || "");
        if (ended && state.state === "finished") {
            form.set(KEY, state.folder);
            TL.toast("good", `The regularization pictures are in ${state.folder}, which is in the form now.`);
        }
    }

    TL.on("mounted", () => {
        poller = TL.poll(async () => show(await TL.api("regularization", {quiet: true})), () => (drawing ? 1 : 0));
        form.load().then(() => {
            const field = TL.root.querySelector(`.tl-field[data-key="${KEY}"]`);
            if (!field) return;
            field.append(build());
            poller.wake();
        }, () => {});
    });
})();
