;;; eglot-test.el --- Starfill in Emacs as it comes, with eglot alone  -*- lexical-binding: t -*-

;;; Code:

(require 'session (expand-file-name "session" (file-name-directory load-file-name)))

(ert-deftest completes ()
  (with-file "completes.py" "import json\n\n\ndef load(größe):\n    with open(größe) as file: return json."
    (let ((before (buffer-string)))
      (until "a completion"
        (completion-at-point)
        (not (equal (buffer-string) before)))
      (should (string-prefix-p before (buffer-string)))
      (should (equal (plist-get (last-completion) :source) "model"))
      (should (equal (on-disk) (buffer-string))))))

(ert-deftest rewrites ()
  (with-file "rewrites.py" "def area(width, height):\n    result = width * height\n    return result\n"
    (let ((before (buffer-string))
          (action (until "the code actions"
                    (cl-find "Starfill: add type annotations"
                             (eglot-code-actions (point-min) (point-max))
                             :key (lambda (it) (plist-get it :title))
                             :test #'equal))))
      (eglot-execute (eglot-current-server) action)
      (should-not (equal (buffer-string) before))
      (should (string-search "def area(" (buffer-string)))
      (should (equal (on-disk) (buffer-string))))))

;;; eglot-test.el ends here
