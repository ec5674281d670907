/** Setting values as stored in the form. */

/** A number box may contain incomplete input, so a number may be a text; the server validates it. */
export type Value = string|number|boolean|null|(string|number)[]|Phase[];

/** A training phase after the first: its length, and by group the settings that it changes. */
export interface Phase {
    name?: string;
    epochs?: number;
    steps?: number;
    dataset?: Record<string, Value>;
    network?: Record<string, Value>;
    optimizer?: Record<string, Value>;
    scheduler?: Record<string, Value>;
    loss?: Record<string, Value>;
    training?: Record<string, Value>;
    save?: Record<string, Value>;
    sample?: Record<string, Value>;
}

/** Where fields keep their values: the form, or a training phase. */
export interface Values {
    get: (key: string) => Value|undefined;
    set: (key: string, value: Value) => void;
    reset: (key: string) => void;
    isChanged: (key: string) => boolean;
    defaultOf: (key: string) => Value|undefined;
}

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
