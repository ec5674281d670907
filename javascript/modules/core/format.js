/** Human-readable numbers, times and sizes. */

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** @param {number} value @returns {string} 12,345 */
function number(value) {
    return Math.round(value).toLocaleString("en-US");
}

/** @param {number} count @param {string} one @param {string} [many] @returns {string} "1 image", "24 images" */
function plural(count, one, many = `${one}s`) {
    return `${number(count)} ${count === 1 ? one : many}`;
}

/** @param {number} seconds @returns {string} "3 min 20 s" */
function duration(seconds) {
    const whole = Math.max(0, Math.round(seconds));
    if (whole < 60) return `${whole} s`;
    const minutes = Math.floor(whole / 60);
    if (minutes < 10) return whole % 60 ? `${minutes} min ${whole % 60} s` : `${minutes} min`;
    if (minutes < 60) return `${Math.round(whole / 60)} min`;
    const hours = Math.floor(minutes / 60);
    if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
    return `${Math.floor(hours / 24)} days ${hours % 24} h`;
}

/** @param {number|null|undefined} seconds @returns {string} "3 min 20 s left", empty if unknown */
function left(seconds) {
    if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "";
    return seconds < 1 ? "almost done" : `${duration(seconds)} left`;
}

/** @param {number} bytes @returns {string} "37.9 MB" */
function bytes(bytes) {
    const units = ["bytes", "kB", "MB", "GB"];
    let value = bytes;
    let unit = 0;
    while (value >= 1000 && unit < units.length - 1) {
        value /= 1000;
        unit += 1;
    }
    return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** @param {number|null|undefined} rate a learning rate @returns {string} 0.0001, 5e-7 */
function rate(rate) {
    if (rate === null || rate === undefined) return "–";
    if (rate === 0) return "0";
    if (Math.abs(rate) >= 1e-5) return String(Number(rate.toPrecision(3)));
    return rate.toExponential(1).replace(".0e", "e");
}

/** @param {number|null|undefined} loss @returns {string} 0.0912 */
function loss(loss) {
    if (loss === null || loss === undefined) return "–";
    return loss >= 10 ? loss.toFixed(1) : loss.toFixed(4);
}

/** @param {number} seconds since the epoch @returns {string} "14:02", "yesterday 09:10", "3 Aug 14:02" */
function when(seconds) {
    const date = new Date(seconds * 1000);
    const clock = `${String(date.getHours()).padStart(2, "0")}:${String(date.getMinutes()).padStart(2, "0")}`;
    const days = Math.round((startOfDay(new Date()) - startOfDay(date)) / 86400000);
    if (days === 0) return `today ${clock}`;
    if (days === 1) return `yesterday ${clock}`;
    const year = date.getFullYear() === new Date().getFullYear() ? "" : ` ${date.getFullYear()}`;
    return `${date.getDate()} ${MONTHS[date.getMonth()]}${year} ${clock}`;
}

/** @param {Date} date */
function startOfDay(date) {
    return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}

/** @param {string} path of any operating system @returns {string} its last part */
function fileName(path) {
    return path.split(/[\\/]/).filter(Boolean).pop() || path;
}

export const format = {number, plural, duration, left, bytes, rate, loss, when, fileName};
