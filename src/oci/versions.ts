/** The specification that config.json is held to, and the oldest that is understood. */
export const SPEC_VERSION = "1.3.0";
export const OLDEST_SPEC_VERSION = "1.0.0";
