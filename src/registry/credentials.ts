/** What proves to a registry who asks. */
export type Credentials =
  | { readonly kind: "password"; readonly user: string; readonly password: string }
  /** An identity token: the token server gives access tokens for it. */
  | { readonly kind: "identity"; readonly token: string }
  /** An access token, which the registry itself takes. */
  | { readonly kind: "access"; readonly token: string };

/** Finds credentials for a registry's host; undefined: ask as nobody. */
export type FindCredentials = (host: string) => Promise<Credentials | undefined>;
