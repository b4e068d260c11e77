"""The sentences of `messages` in French. Tests hold both complete and their facts equal.

`PHRASES` are what stands inside of other sentences, or beside a state: English as in the code, `{}` for what varies.
"""

from __future__ import annotations

from collections.abc import Mapping

from run_qarnot.messages import Words

STATES: Mapping[str, str] = {
    "preparing": "Préparation : vos fichiers partent vers le cluster",
    "waiting": "En attente : le cluster cherche une machine libre",
    "loading": "Chargement : une machine est trouvée, fichiers et logiciels y sont envoyés",
    "starting": "Démarrage : la machine est prête, {app} ne répond pas encore",
    "ready": "Prêt : {app} répond",
    "saving": "Sauvegarde : les résultats partent vers votre bucket",
    "stopping": "Arrêt : la machine est rendue",
    "ended": "Terminé",
    "failed": "Échec",
    "unknown": "Le cluster emploie un mot que cette version ne connaît pas ; la surveillance continue",
}

END_REASONS: Mapping[str, str] = {
    "stopped": "Elle a été arrêtée ; les résultats sont dans son bucket.",
    "time-limit": "Sa durée limite est atteinte ; les résultats sont dans son bucket.",
    "finished": "Elle s’est terminée d’elle-même ; les résultats sont dans son bucket.",
    "failed": "La raison est indiquée à côté.",
    "deleted": "Elle a été supprimée.",
    "given-up": "Elle a été abandonnée avant de démarrer ; rien ne tourne.",
}

ERRORS: Mapping[str, Words] = {
    # ce que la personne a donné
    "token-empty": Words("Aucun jeton Qarnot n’a été donné.", "Copiez le vôtre depuis https://console.qarnot.com/settings/access-token et collez-le."),
    "token-shape": Words("Ce n’est pas un jeton Qarnot : il contient {problem}.", "Copiez le jeton entier, et rien d’autre, depuis votre console Qarnot."),
    "name": Words("Le nom « {name} » {problem}.", "Employez des minuscules, des chiffres et des traits d’union, par exemple « {suggestion} »."),
    "name-taken": Words("Il existe déjà une session « {name} ».", "Choisissez un autre nom, ou continuez à partir d’elle.", "`--resume {name}` le fait."),
    "bucket-taken": Words("Le bucket « {bucket} » contient déjà des fichiers.", "Choisissez un autre nom de session, pour que rien n’y soit mélangé ni écrasé."),
    "image-unknown": Words("Il n’y a pas d’image « {image} ».", "{hint}", "`run-qarnot images` les liste toutes."),
    "image-broken": Words("L’image « {image} » est inutilisable : {problem}", "Demandez à qui tient le catalogue de la corriger, ou choisissez une autre image."),
    "option-unknown": Words("L’image « {image} » n’a pas d’option « {option} ».", "{hint}"),
    "option-value": Words("« {value} » ne convient pas pour {label} : {problem}.", "{hint}"),
    "option-form": Words("« {text} » n’est pas une option.", "Écrivez-la ainsi : --set NOM=VALEUR."),
    "link-secret": Words("« {option} » est un secret, qu’aucun lien ne peut porter.", "Saisissez-le dans son champ."),
    "hours": Words("{hours} heures : ce n’est pas possible.", "Choisissez entre {least} et {most} heures."),
    "key-private": Words("C’est une clé privée. Elle n’a été ni utilisée, ni gardée, ni envoyée.", "Donnez la clé publique, qui finit en .pub et commence par ssh-."),
    "key-format": Words("Ce n’est pas une clé publique OpenSSH : {problem}.", "Collez une ligne telle que « ssh-ed25519 AAAA… vous@maison » ; `ssh-keygen -t ed25519` crée une paire."),
    "file-missing": Words("Il n’y a ni fichier ni dossier « {path} ».", "Vérifiez le chemin ; rien n’a été changé."),
    "file-unreadable": Words("« {path} » est illisible : {problem}.", "Changez ses droits, ou laissez-le de côté ; rien n’a été changé."),
    "log-unwritable": Words("Le journal ne peut pas être écrit dans « {path} » : {problem}.", "Nommez un fichier d’un dossier qui existe et où vous pouvez écrire."),
    "file-name": Words("Un fichier nommé {name} ne peut pas être stocké sûrement.", "Renommez-le : ni « .. », ni barre oblique inverse, ni barre au début, ni espace aux bouts, 1000 octets au plus."),
    "file-twice": Words("Deux des fichiers deviendraient « {name} ».", "Renommez l’un d’eux, ou mettez-les dans des dossiers différents."),
    "settings": Words("{name} vaut « {value} », qui {problem}.", "{hint}"),
    "address-open": Words("L’adresse {ip} est accessible à d’autres, et aucun jeton d’accès ne protège la page.", "Donnez à RUN_QARNOT_LOGIN_TOKEN un long texte au hasard, ou retirez --ip pour rester sur cette machine."),
    # ce qui n'est pas là
    "session-unknown": Words("Il n’y a pas de session « {text} » sur ce compte.", "Peut-être a-t-elle été supprimée.", "`run-qarnot sessions` liste celles qui existent."),
    "session-ambiguous": Words("« {text} » peut désigner plusieurs sessions : {names}.", "Écrivez-en plus, ou donnez l’identifiant."),
    "no-results": Words("« {name} » n’a pas de résultats{pattern}.", "Sauvegardez-la d’abord si elle tourne, ou vérifiez le motif."),
    "input-exists": Words("Il y a déjà un autre fichier « {name} » dans le bucket « {bucket} ».", "Renommez le vôtre ; rien n’a été envoyé.", "`--replace` met le vôtre à sa place."),
    "output-exists": Words("« {path} » existe déjà.", "Choisissez un autre endroit, pour que rien ne soit écrasé."),
    # ce que le cluster refuse
    "token-refused": Words("Le cluster {cluster} n’accepte pas ce jeton.", "Copiez-le à nouveau depuis votre console Qarnot ; un jeton peut aussi expirer ou être révoqué."),
    "forbidden": Words("Le cluster ne le permet pas : {message}.", "Demandez à l’administrateur de votre compte Qarnot."),
    "credits": Words("Le compte n’a pas assez de crédits : {message}.", "Ajoutez des crédits dans votre console Qarnot, puis recommencez ; rien n’a démarré."),
    "quota-tasks": Words("Le compte a autant de sessions qu’il peut en avoir : {message}.", "Arrêtez-en ou supprimez-en une, puis recommencez.", "`run-qarnot sessions` les liste."),
    "profile-missing": Words("Ce compte n’a aucun des profils qu’il faut à « {image} » : {profiles}.", "Demandez au support de Qarnot d’en activer un pour votre compte, ou choisissez une autre image."),
    "rejected": Words("Le cluster n’a pas accepté la demande : {message}.", "Si la phrase n’aide pas, envoyez-la au support de Qarnot ; rien n’a démarré."),
    "storage-refused": Words("Le stockage a refusé {action} : {message}.", "Vérifiez le quota de votre compte ; ce qui était stocké est gardé."),
    "too-late": Words("« {name} » ne tourne plus.", "Ses résultats sont dans son bucket.", "`run-qarnot show {name}` dit comment elle s’est terminée."),
    "plugin-name": Words("Un plugin ne peut pas s’appeler « {name} » : {problem}.", "Employez des minuscules, des chiffres et des soulignés, une lettre d’abord, par exemple « {suggestion} »."),
    "in-use": Words("Les fichiers de « {name} » sont utilisés : « {other} » en est la suite et tourne.", "Arrêtez d'abord celle-là ; rien n'a été supprimé."),
    "still-running": Words("« {name} » tourne encore.", "Arrêtez-la d’abord.", "`run-qarnot stop {name}` la sauvegarde et l’arrête."),
    "limit-fixed": Words("La durée limite de « {name} » ne peut pas changer : le cluster garde celle du démarrage.", "{hint}"),
    "options-unknown": Words("« {name} » ne peut pas être relancée à l’identique : ce qui avait été saisi pour {options} n’est plus connu.", "Sauvegardez-la et arrêtez-la, puis continuez à partir d’elle en le remplissant ; rien n’a été arrêté.", "`run-qarnot launch {image} --resume {name} --set …` le fait."),
    # ce qui a échoué
    "session-failed": Words("« {name} » a échoué : {reason}", "Lisez les dernières lignes de sa sortie, puis recommencez ; vos fichiers sont toujours dans {inputs}."),
    "session-ended": Words("« {name} » s’est terminée avant d’être prête. {reason}", "Regardez sa sortie.", "`run-qarnot logs {name}` la montre."),
    "given-up": Words("« {name} » a été abandonnée avant de démarrer.", "Recommencez quand vous voulez ; rien ne tourne."),
    "save-failed": Words("Les résultats de « {name} » n’ont pas pu être sauvegardés : {message}.", "Elle tourne toujours. Sauvegardez à nouveau ; ne l’arrêtez sans sauvegarde que si vous pouvez vous en passer."),
    "no-door": Words("« {name} » ne peut pas être ouverte d’ici : {problem}.", "{hint}"),
    "tunnel": Words("Le chemin vers « {name} » n’a pas pu être ouvert : {problem}.", "Un nouvel essai suit de lui-même ; si cela dure, votre réseau bloque peut-être SSH."),
    "upload": Words("« {name} » n’a pas pu être envoyé : {problem}.", "Recommencez ; ce qui est déjà envoyé est gardé."),
    "download": Words("« {name} » n’a pas pu être téléchargé : {problem}.", "Recommencez : cela reprend là où c’était."),
    "transfer-given-up": Words("Le transfert a été abandonné.", "Relancez-le quand vous voulez : il reprend là où il était."),
    "broken": Words("Quelque chose s’est abîmé en chemin : {problem}.", "Recommencez ; si cela se répète, quelque chose entre ici et le stockage modifie ce qui passe."),
    "write": Words("« {path} » n’a pas pu être écrit : {problem}.", "Choisissez un dossier où vous pouvez écrire et qui a de la place."),
    "plugin-refused": Words("Rien n’a démarré : {reason}", "Changez cela, puis recommencez. La règle vient de « {plugin} »."),
    # ce qu'on ne peut pas atteindre
    "unreachable": Words("Le cluster {cluster} ne répond pas : {problem}.", "Vérifiez le réseau et QARNOT_CLUSTER_URL, puis recommencez."),
    "nonsense": Words("Ce qui répond à {cluster} ne parle pas la langue de Qarnot : {problem}.", "Vérifiez QARNOT_CLUSTER_URL."),
    "storage-unreachable": Words("Le stockage ne répond pas : {problem}.", "Vérifiez le réseau et QARNOT_STORAGE_URL, puis recommencez."),
    # ce qui manque sur cette machine
    "local-missing": Words("Le cluster local a besoin du paquet « {package} », qui n’est pas installé.", "Installez-le : pip install 'run-qarnot[local]'"),
    "port-taken": Words("Le port {port} de cette machine est occupé.", "Choisissez-en un autre avec --port, ou retirez l’option."),
    "part-ended": Words("{part} : arrêt inattendu.", "Ses derniers mots sont au-dessus ; s’ils n’aident pas, signalez-les."),
    "part-silent": Words("{part} : pas de démarrage en {seconds} secondes.", "Recommencez ; si cela se répète, signalez ce qui est écrit au-dessus."),
    "bug": Words("Un imprévu est survenu : {problem}.", "C’est un défaut de Run Qarnot ; signalez-le avec les détails."),
}  # fmt: skip

PHRASES: Mapping[str, str] = {
    # beside a state
    "Saving your files…": "Sauvegarde de vos fichiers…",
    "Stopping…": "Arrêt…",
    "Running: {} is at work": "En cours : {} travaille",
    "Ready again: {} answers, on another machine, with what was saved": "De nouveau prêt : {} répond, sur une autre machine, avec ce qui était sauvegardé",
    "{} has not answered for long: its log may say why, and you can stop": "{} ne répond pas depuis longtemps : son journal dit peut-être pourquoi, et vous pouvez arrêter",
    "Uploading {} file(s): {} of {}": "Envoi de {} fichier(s) : {} sur {}",
    "The way to it is interrupted: {}. Trying again; the session goes on.": "Le chemin vers elle est interrompu : {}. Nouvel essai ; la session continue.",
    "{} Trying again; the session goes on.": "{} Nouvel essai ; la session continue.",
    # doors
    "Opens in your browser.": "S’ouvre dans votre navigateur.",
    "Opens {} on this computer; no key needed.": "Ouvre {} sur cet ordinateur ; aucune clé nécessaire.",
    "Works while this program runs, on the computer it runs on.": "Fonctionne tant que ce programme tourne, sur l’ordinateur où il tourne.",
    "Opens the session's folder in VS Code, with the Remote - SSH extension.": "Ouvre le dossier de la session dans VS Code, avec l’extension Remote - SSH.",
    "Type the command in a terminal, leave it running, and open the address. Leave -N away for a shell.": "Tapez la commande dans un terminal, laissez-la tourner, et ouvrez l’adresse. Sans -N, vous avez un shell.",
    "Type the command in a terminal.": "Tapez la commande dans un terminal.",
    # what is wrong with a token, a name, a key, a value
    "a space or a line break": "un espace ou un saut de ligne",
    "a character that no token has": "un caractère qu’aucun jeton n’a",
    "characters that no token has": "des caractères qu’aucun jeton n’a",
    "is empty": "est vide",
    "contains a space": "contient un espace",
    "contains {}": "contient {}",
    "starts or ends with a hyphen": "commence ou finit par un trait d’union",
    "has {} characters, and {} is the most": "a {} caractères, et {} est le maximum",
    "it is empty": "elle est vide",
    "it has several lines": "elle a plusieurs lignes",
    "it does not begin with ssh-": "elle ne commence pas par ssh-",
    "the middle part is damaged": "la partie du milieu est abîmée",
    "it contains control characters": "elle contient des caractères de contrôle",
    "it is neither yes nor no": "ce n’est ni oui ni non",
    "“{}” is not offered": "« {} » n’est pas proposé",
    "it has another form": "la forme est différente",
    "it is no number": "ce n’est pas un nombre",
    "it is no whole number": "ce n’est pas un nombre entier",
    "{} is the least": "{} est le minimum",
    "{} is the most": "{} est le maximum",
    "Write text.": "Écrivez du texte.",
    "Write yes or no.": "Écrivez yes ou no.",
    "Write digits.": "Écrivez des chiffres.",
    "Choose from: {}.": "Choisissez parmi : {}.",
    "Write {} or more.": "Écrivez {} ou plus.",
    "Write {} or less.": "Écrivez {} ou moins.",
    "Did you mean “{}”?": "Vouliez-vous dire « {} » ?",
    "It has: {}.": "Elle a : {}.",
    "is no web address": "n’est pas une adresse web",
    # a time limit
    "Its command would begin again: let it run, or start it anew with more hours.": "Sa commande recommencerait du début : laissez-la finir, ou relancez-la avec plus d’heures.",
    "Nothing runs yet: stop it, and start it anew with more hours.": "Rien ne tourne encore : arrêtez-la, et relancez-la avec plus d’heures.",
    # the network
    "no answer in time": "pas de réponse à temps",
    "its certificate is not accepted": "son certificat n’est pas accepté",
    "the proxy does not let us through": "le proxy ne laisse pas passer",
    "the cluster names none": "le cluster n’en nomme aucun",
    "nothing listens there": "rien n’écoute là",
    "there is no such host": "cet hôte n’existe pas",
    "the connection broke": "la connexion s’est rompue",
    "it answers with something else than JSON": "la réponse n’est pas du JSON",
    "it answers {}": "la réponse est {}",
    "the cluster says that it failed": "le cluster dit que cela a échoué",
    "The cluster gives no reason.": "Le cluster ne donne pas de raison.",
    # the page
    "there is no room for it on this machine": "il n’y a pas de place pour lui sur cette machine",
    "the server of this page does not offer downloads": "le serveur de cette page ne propose pas de téléchargement",
    "the disk does not take it": "le disque ne le prend pas",
    "{} of {} bytes are here": "{} octets sur {} sont là",
}  # fmt: skip
