/** Setting values as stored in the form. */

/** A number box may contain incomplete input, so a number may be a text; the server validates it. */
export type Value = string|number|boolean|null|(string|number)[];

/** One control for one setting. */
export interface Field {
    key: string;
    element: HTMLElement;
    control: Control;
    /** Shows the form's value. */
    refresh: () => void;
    /** Shows a sentence under the control, empty for none. */
    problem: (text: string) => void;
}
export type Control = HTMLInputElement|HTMLSelectElement|HTMLTextAreaElement;
