/** Which runs the list shows, and which are collapsed. */

/** @typedef {import("../core/types").RunSummary} RunSummary */
/** @typedef {{words: string, state: string, starred: boolean}} Filter state is a key of STATES, empty for all */

/** @type {Record<string, {title: string, states: string[]}>} */
export const STATES = {
    open: {title: "Running or queued", states: ["running", "paused", "held", "waiting"]},
    finished: {title: "Finished", states: ["finished"]},
    stopped: {title: "Stopped", states: ["stopped"]},
    failed: {title: "Failed or interrupted", states: ["failed", "lost", "damaged"]},
};
const ENDED_EARLY = ["stopped", "failed", "lost"];

/** @param {RunSummary} run @param {Filter} filter @returns {boolean} */
export function isShown(run, {words, state, starred}) {
    if (starred && !run.starred) return false;
    if (state && !STATES[state].states.includes(run.state)) return false;
    const text = [run.name, run.id, run.lora_name, run.note].join("\n").toLowerCase();
    return words.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

/**
 * @param {RunSummary} run @param {boolean} newest whether no run is newer
 * @returns {boolean} whether it ended before its first step and can be collapsed
 */
export function neverStarted(run, newest) {
    return !newest && ENDED_EARLY.includes(run.state) && !run.step && !run.saved.length && !run.starred && !run.note;
}
