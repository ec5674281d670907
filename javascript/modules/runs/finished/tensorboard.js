/** A button that starts TensorBoard on the webui's machine and shows its address. */

import {api, fill, h} from "../../core/dom.js";
import {button} from "../../core/parts.js";

export class TensorBoardButton {
    constructor() {
        this.button = button("TensorBoard", {small: true, title: "The curves of all runs in TensorBoard, until the webui ends",
            click: () => this.start()});
        this.note = h("p", {class: "tl-note tl-tensorboard", role: "status", hidden: true});
    }

    async start() {
        this.button.disabled = true;
        this.say("Starting TensorBoard …");
        try {
            const {address} = await api("tensorboard", {body: {}, quiet: true});
            this.say("TensorBoard runs until the webui ends: ", h("a", {href: address, target: "_blank",
                rel: "noopener noreferrer"}, address));
        } catch (error) {
            this.say(/** @type {Error} */ (error).message);
        }
        this.button.disabled = false;
    }

    /** @param {...import("../../core/elements").Child} words */
    say(...words) {
        fill(this.note, ...words);
        this.note.hidden = false;
    }
}
