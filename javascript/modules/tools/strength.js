/** The strength of a LoRA in prompt syntax, as after its name: `0.8`, or `te=0.5:unet=1:lbw=OUTALL`. */

/** @typedef {{unet: string, text: string, blocks: string}} Strength an empty part takes its default */

/** @param {string} written @returns {Strength} */
export function readStrength(written) {
    const found = {unet: "", text: "", blocks: ""};
    for (const part of written.split(":")) {
        const [name, value] = part.includes("=") ? part.split("=", 2) : ["", part];
        if (name === "te") found.text = value;
        else if (name === "lbw") found.blocks = value;
        else if (name === "unet" || (!name && part !== "1")) found.unet = value;
    }
    return found;
}

/** @param {Strength} strength @returns {string} with decimal commas replaced by points */
export function writeStrength({unet, text, blocks}) {
    const [of, ofText] = [unet, text].map((number) => number.trim().replace(/^(-?\d*),(\d+)$/, "$1.$2"));
    const numbers = ofText ? `te=${ofText}:unet=${of || "1"}` : of || "1";
    return numbers + (blocks.trim() ? `:lbw=${blocks.trim()}` : "");
}
