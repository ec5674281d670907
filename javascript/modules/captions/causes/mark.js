/** The frame around what is wrong: dragged like a crop, or set around a point by a click. */

import {CropFrame} from "../image/crop_frame.js";
import {frameAround} from "./origin.js";

/** @typedef {import("../image/view.js").Point} Point */

export class MarkFrame extends CropFrame {
    /** @param {import("../image/view.js").Size} size of the image @param {() => void} changed */
    constructor(size, changed) {
        super(size, changed, () => {});
    }

    /** @param {Point} point */
    up(point) {
        const click = this.isClick(point);
        super.up(point);
        if (click) this.set(frameAround(point, this.size));
    }
}
