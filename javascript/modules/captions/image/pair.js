/** The line below the selected image that names the image it was edited from, or its edited versions. */

import {fill, h} from "../../core/dom.js";

/** @typedef {import("../answers").PictureFacts} PictureFacts */

/** @param {import("../set.js").CaptionSet} set @returns {{element: HTMLElement, show: (picture: PictureFacts) => void}} */
export function pairLine(set) {
    const element = h("p", {class: "tl-note tl-pair", hidden: true});
    return {element, show: ({origin, pair}) => {
        element.hidden = !origin && !pair.length;
        const links = pair.map(({number, path}, place) => [place ? ", " : "", h("button", {type: "button", class: "tl-link",
            title: "Show it", on: {click: () => set.choose(number)}}, path)]);
        if (!pair.length) fill(element, origin === "edit" ? "Machine-made, edited from an image that is not in the set" : "Machine-made");
        else fill(element, origin === "edit" ? "Machine-made, pair of " : "Pair of ", links);
    }};
}
