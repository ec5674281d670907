/** Below the setting "Regularization folder": having the webui draw a picture for each training picture. */

import {api, h, on, setText} from "../core/dom.js";
import {format} from "../core/format.js";
import {button, fold, toast} from "../core/parts.js";
import {poll, root} from "../core/shell.js";
import {form} from "./form.js";

const KEY = "dataset.reg_data_dir";

let drawing = false;
/** @type {any} */ let poller = null;
/** @type {any} */ let parts = null;

function build() {
    const words = h("p", {class: "tl-note", role: "status"});
    const bar = h("div", {class: "tl-bar-fill"});
    const tag = h("input", {type: "checkbox"});
    const start = button("Draw them", {small: true, id: "tl_reg_draw", click: begin});
    const stop = button("Stop", {small: true, kind: "danger", icon: "stop", id: "tl_reg_stop", hidden: true,
        click: () => api("regularization/stop", {body: {}}).then(poller.wake, () => {})});
    const track = h("div", {class: "tl-bar", role: "progressbar", "aria-label": "Regularization pictures",
        hidden: true}, bar);
    parts = {words, bar, track, tag, start, stop};
    return fold("Have the webui draw them", h("p", {class: "tl-note"}, "The loaded checkpoint draws each " +
        "caption, without the trigger word unless you keep it, with DDIM, at the training's size and seed, " +
        "into the folder reg among your pictures. What is there already stays."),
    h("label", {class: "tl-tick"}, tag, "Keep the trigger word"),
    track, h("div", {class: "tl-row"}, start, stop), words);
}

async function begin() {
    parts.start.disabled = true;
    try {
        show(await api("regularization", {body: {job: form.job(), with_tag: parts.tag.checked}}));
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
    const count = `${state.done} of ${format.plural(state.total, "picture")}`;
    setText(parts.words, {drawing: `${count} drawn`, finished: `${count} drawn`, stopped: `Stopped: ${count} drawn`,
        failed: state.error}[state.state] || "");
    if (ended && state.state === "finished") {
        form.set(KEY, state.folder);
        toast("good", `The regularization pictures are in ${state.folder}, which is in the form now.`);
    }
}

on("mounted", () => {
    poller = poll(async () => show(await api("regularization", {quiet: true})), () => (drawing ? 1 : 0));
    form.load().then(() => {
        const field = root.querySelector(`.tl-field[data-key="${KEY}"]`);
        if (!field) return;
        field.append(build());
        poller.wake();
    }, () => {});
});
