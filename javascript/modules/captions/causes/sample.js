/** A generated image as it is examined: read from its address, and made small enough to send. */

import {sizeWithin} from "./origin.js";

const MOST_SIDE = 1024;

/** @typedef {{url: string, width: number, height: number, content: string}} Sample `content`: the PNG file in base64 */

/** @param {string} src of an image on the page @returns {Promise<Sample>} rejects if it cannot be read */
export async function readSample(src) {
    const response = await fetch(src);
    if (!response.ok) throw new Error(`the webui answered ${response.status}`);
    const picture = await createImageBitmap(await response.blob());
    const {width, height} = sizeWithin(picture.width, picture.height, MOST_SIDE);
    const canvas = document.createElement("canvas");
    Object.assign(canvas, {width, height});
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, 0, 0, width, height);
    picture.close();
    const url = canvas.toDataURL("image/png");
    return {url, width, height, content: url.slice(url.indexOf(",") + 1)};
}
