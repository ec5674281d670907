/** The notice that the webui generates noise with a v-prediction checkpoint, with a button that writes its YAML. */

import {api, emit, fill, h} from "./dom.js";
import {button, findings, toast} from "./parts.js";

/** @typedef {import("./types").PredictionNotice} Notice */

export class PredictionNotice {
    constructor() {
        this.shown = "";
        this.element = h("div", {class: "tl-prediction", hidden: true});
    }

    /** @param {Notice|null|undefined} notice hidden without one */
    show(notice) {
        const signature = notice ? JSON.stringify(notice) : "";
        if (signature === this.shown) return;
        this.shown = signature;
        this.element.hidden = !notice;
        if (!notice) return;
        fill(this.element, findings([{level: "warning", text: notice.text}]), notice.yaml ?
            h("div", {class: "tl-row"}, button(`Write ${notice.yaml}`, {small: true, icon: "file",
                click: () => this.write(notice)})) : null);
    }

    /** @param {Notice} notice */
    async write(notice) {
        try {
            const answer = await api("prediction-yaml",
                {body: {checkpoint: notice.checkpoint, v_prediction: notice.said}});
            toast("good", answer.text);
        } catch {
            // a toast shows the error
        }
        emit("prediction");
    }
}
