// @ts-check
/** What the page says about the end of the queue. */

/** @param {number} seconds @returns {string} "1:07" */
export function clock(seconds) {
    const whole = Math.max(0, Math.ceil(seconds));
    return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/**
 * @param {import("../records").FinishedState} state
 * @returns {string} what the choice waits for and the command, and why nothing but a message is possible; empty for nothing
 */
export function noteOfChoice({choice, choices, command, waits_for: waits, countdown}) {
    const lines = [];
    if (choice !== "nothing" && !countdown) {
        lines.push(waits.length ? `Waits for ${listed(waits)}.` : "Waits for the next run.");
    }
    if (choice === "command") lines.push(`Your command: ${command}`);
    const refused = choices.filter((one) => one.refused);
    if (refused.length > 1 && refused.every((one) => one.refused === refused[0].refused)) lines.push(refused[0].refused);
    return lines.join("\n");
}

/**
 * @param {import("../records").FinishedState} state
 * @returns {string} the note, and why each other choice is not possible
 */
export function aboutChoice(state) {
    const note = noteOfChoice(state);
    const refused = [...new Set(state.choices.map((one) => one.refused).filter(Boolean))];
    return [note, ...refused.filter((reason) => !note.includes(reason))].filter(Boolean).join("\n");
}

/** @param {string[]} names @returns {string} "penny, fox and 3 more" */
function listed(names) {
    const shown = names.slice(0, names.length > 3 ? 2 : 3);
    const more = names.length - shown.length;
    const last = more ? `${more} more` : shown.pop();
    return shown.length ? `${shown.join(", ")} and ${last}` : String(last);
}
