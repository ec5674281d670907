/** The buttons of the tools below the chosen image. */

import {h} from "../../core/dom.js";
import {button, toast} from "../../core/parts.js";
import {TOOLS} from "./tools.js";

/**
 * @param {import("../set.js").CaptionSet} set
 * @param {(act: (picture: import("../answers").PictureFacts) => void) => void} whenShown calls `act` with the chosen
 *     image, now or as soon as it has loaded
 * @returns {HTMLElement}
 */
export function imageToolbar(set, whenShown) {
    return h("div", {class: "tl-imagetools", role: "toolbar", "aria-label": "Edit this image", hidden: !TOOLS.length},
        TOOLS.map(({label, title, open, anySize}) => {
            const opener = button(label, {small: true, title, click: () => whenShown((picture) => {
                if (picture.width || anySize) open({set, picture, opener});
                else toast("info", "The size of this image is not known. Either it is still being read, or the file is damaged.");
            })});
            return opener;
        }));
}
