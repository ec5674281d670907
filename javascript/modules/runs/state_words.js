// @ts-check
/** The state and duration of a run in words, from the server's data. */

import {format} from "../core/format.js";

/** @typedef {import("../core/types").RunNews} RunNews */

const SHOWN_SECONDS = 60;
/** The states with a worker. */
export const AT_WORK = ["running", "paused", "held"];
/** The states in which new events are possible. */
export const OPEN = [...AT_WORK, "waiting"];

/**
 * @param {string} state as sent by the server
 * @param {string[]} control pending requests to the worker
 * @param {boolean} begun whether there was a first step
 * @returns {string} the state, including pending requests
 */
export function stateNow(state, control, begun) {
    if (OPEN.includes(state) && control.includes("stop")) return "stopping";  // one that is being started, too
    if (["running", "held"].includes(state) && control.includes("pause")) return "pausing";
    return state === "running" && !begun ? "starting" : state;
}

/**
 * @param {RunNews} summary
 * @returns {string} " in 4 min (paused 37 min)": the time trained, and the time on hold
 */
export function timeTrained({seconds, still_seconds: still}) {
    if (!seconds) return "";
    return ` in ${format.duration(seconds)}${still && still >= 1 ? ` (paused ${format.duration(still)})` : ""}`;
}

/**
 * @param {{time: number, seconds: number, why: string}|null} last the last hold for others
 * @param {{time: number}|null} step the last step
 * @returns {string} "held 6 s for a picture in txt2img", shown for a minute afterwards
 */
export function heldLately(last, step) {
    if (!last || !step || step.time - last.time > SHOWN_SECONDS) return "";
    return `held ${last.seconds < 1 ? "under 1 s" : format.duration(last.seconds)} for ${last.why}`;
}

/**
 * @param {RunNews} summary @param {{name: string, text: string}} phase @param {boolean} stepping
 * @returns {string} when a request will be granted: "as soon as this step is done"
 */
export function whenGranted(summary, phase, stepping) {
    if (summary.state === "held") return `as soon as ${summary.held_for || "the webui"} is done`;
    if (stepping) return "as soon as this step is done";
    const text = phase.text.replace(/[.…]+$/, "");
    if (phase.name.startsWith("train")) return "as soon as the next step is done";
    return `as soon as possible (now: ${text || "starting the worker"})`;
}

/**
 * @param {string} text of the event about the source of the base weights, in the present tense
 * @param {boolean} open whether the run has not ended
 * @returns {string} the same, in the past tense for an ended run
 */
export function weightsText(text, open) {
    if (open) return text;
    return text.replace(/^Trains on /, "Trained on ").replace(" are in memory once ", " were in memory once ")
        .replace("The model is read from ", "The model was read from ");
}
