/** The images of a card: one is the cover, and those ticked go into the folder. */

import {h, uniqueId, url} from "../../core/dom.js";
import {runs} from "../../runs/watch.js";
import {startImages} from "./words.js";

/** @typedef {import("../records").PublishPlan} PublishPlan */

export class CardImages {
    /** @param {PublishPlan} plan @param {() => void} changed */
    constructor(plan, changed) {
        const chosen = startImages(plan.tested.images.map(({id}) => id));
        this.cover = chosen.cover;
        this.images = new Set(chosen.images);
        const group = uniqueId("cover");
        const none = "There is no image of this LoRA: no strip, sample, plot or preview. The card is written without one.";
        this.element = h("div", {}, h("p", {class: "tl-subtitle"}, "Images"),
            plan.tested.images.length ? h("ul", {class: "tl-publish-images"}, plan.tested.images.map((image) => h("li", {},
                h("img", {src: address(plan, image.id), alt: "", loading: "lazy", title: image.prompt}),
                h("span", {class: "tl-note", title: image.prompt || image.label}, image.label),
                h("label", {class: "tl-publish-cover"}, h("input", {type: "radio", name: group, checked: image.id === this.cover,
                    data: {cover: image.id}, on: {change: () => {
                        this.cover = image.id;
                        changed();
                    }}}), "Cover"),
                h("label", {class: "tl-tick"}, h("input", {type: "checkbox", checked: this.images.has(image.id),
                    data: {sample: image.id}, on: {change: (event) => {
                        if (event.currentTarget.checked) this.images.add(image.id);
                        else this.images.delete(image.id);
                        changed();
                    }}}), "Sample")))) : h("p", {class: "tl-note"}, none));
        this.order = plan.tested.images.map(({id}) => id);
    }

    values() {
        return {cover: this.cover, images: this.order.filter((id) => this.images.has(id))};
    }
}

/** @param {PublishPlan} plan @param {string} id */
function address({name, tested}, id) {
    const made = id === "strip" || id === "preview";
    return made ? url(`tools/publish/image?name=${encodeURIComponent(name)}&image=${id}`) : runs.fileUrl(tested.run, id);
}
