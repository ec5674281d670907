/** Below the setting "Regularization folder": lets the webui generate an image for each training image. */

import {api, h, on, setText} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {button, fold, toast} from "../../core/parts.js";
import {poll, root} from "../../core/shell.js";
import {form} from "../form.js";

const KEY = "dataset.reg_data_dir";

let drawing = false;
/** @typedef {import("../answers").RegularizationState} State */

/** @param {() => void} wake asks for the progress */
function build(wake) {
    const words = h("p", {class: "tl-note", role: "status"});
    const bar = h("div", {class: "tl-bar-fill"});
    const tag = h("input", {type: "checkbox"});
    const start = button("Generate", {small: true, id: "tl_reg_draw", click: () => begin()});
    const stop = button("Stop", {small: true, kind: "danger", icon: "stop", id: "tl_reg_stop", hidden: true,
        click: () => api("regularization/stop", {body: {}}).then(wake, () => {})});
    const track = h("div", {class: "tl-bar", role: "progressbar", "aria-label": "Regularization images",
        hidden: true}, bar);
    const element = fold("Generate them in the webui", h("p", {class: "tl-note"}, "The loaded checkpoint generates an " +
        "image for each caption, with DDIM at the training size and seed, in the subfolder reg of your images. The " +
        "trigger word is skipped unless you keep it. Existing images stay."),
    h("label", {class: "tl-tick"}, tag, "Keep the trigger word"),
    track, h("div", {class: "tl-row"}, start, stop), words);

    async function begin() {
        start.disabled = true;
        try {
            show(await api("regularization", {body: {job: form.job(), with_tag: tag.checked}}));
            wake();
        } catch {
            // already reported by a toast
        }
        start.disabled = drawing;
    }

    /** @param {State} state */
    function show(state) {
        drawing = state.state === "drawing";
        start.disabled = drawing;
        stop.hidden = track.hidden = !drawing;
        bar.style.width = `${state.total ? 100 * state.done / state.total : 0}%`;
        const count = `${state.done} of ${format.plural(state.total, "image")}`;
        setText(words, {idle: "", drawing: `${count} generated`, finished: `${count} generated`,
            stopped: `Stopped: ${count} generated`, failed: state.error}[state.state]);
    }

    return {element, show};
}

/** @param {State} state of a finished generation */
function reportEnd(state) {
    if (state.state !== "finished") return;
    form.set(KEY, state.folder);
    toast("good", `The regularization images are in ${state.folder}, which is now set in the form.`);
}

on("mounted", () => {
    const parts = build(() => poller.wake());
    const poller = poll(async () => {
        const before = drawing;
        const state = await api("regularization", {quiet: true});
        parts.show(state);
        if (before && !drawing) reportEnd(state);
    }, () => (drawing ? 1 : 0));
    form.load().then(() => {
        const field = root.querySelector(`.tl-field[data-key="${KEY}"]`);
        if (!field) return;
        field.append(parts.element);
        poller.wake();
    }, () => {});
});
