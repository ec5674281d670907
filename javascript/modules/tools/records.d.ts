/** What the server answers with, made from dataclasses by tests/ui/answer_types.py. */

export interface CardSetting {
    label: string;
    value: string;
}

export interface Source {
    how: string;
    name: string;
    title: string;
    author: string;
    license: string;
    found: boolean;
}

export interface LoraStory {
    title: string;
    trigger: string;
    description: string;
    author: string;
    license: string;
    base: string;
    family: string;
    version: string;
    settings: CardSetting[];
    sources: Source[];
    missing: string[];
    problem: string;
}

export interface CardImage {
    id: string;
    label: string;
    prompt: string;
}

export interface Tested {
    run: string;
    best: string[];
    notes: string[];
    strength: number|null;
    bases: string[];
    images: CardImage[];
}

export interface Remembered {
    author: string;
    license: string;
    license_text: string;
    license_link: string;
}

export interface PublishPlan {
    name: string;
    file: string;
    story: LoraStory;
    tested: Tested;
    credits: string[];
    notes: string[];
    licenses: [string, string][];
    remembered: Remembered;
    description: string;
    preview: boolean;
    place: string;
}

export interface SidecarChange {
    name: string;
    label: string;
    before: string;
    after: string;
}

export interface CardAnswer {
    markdown: string;
    changes: SidecarChange[];
    problem: string;
    left_out: string[];
}

export interface PublishedFolder {
    name: string;
    folder: string;
    files: string[];
    left_out: string[];
    linked: boolean;
}
