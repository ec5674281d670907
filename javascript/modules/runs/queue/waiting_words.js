/** What a queued job waits for, in words. */

import {format} from "../../core/format.js";
import {inQueue} from "./order.js";

/**
 * @param {import("../../core/types").RunSummary[]} runs the training runs of the page
 * @returns {string} "Waiting until penny has ended (2 min left). 3 more runs are queued: …"
 */
export function waitingWords(runs) {
    const running = runs.find((run) => run.alive);
    const queued = inQueue(runs).length;
    if (!running) return queued ? `Waiting for its turn, with ${format.plural(queued, "queued run")}` : "Waiting for its turn";
    const left = format.left(running.seconds_left);
    const others = queued ? `, and ${format.plural(queued, "other run")} ${queued === 1 ? "is" : "are"} queued` : "";
    return `Waiting for its turn: ${running.name} is being trained${left ? ` (${left})` : ""}${others}`;
}
