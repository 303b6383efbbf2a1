;;; starfill-test.el --- Starfill in Emacs, with our package  -*- lexical-binding: t -*-

;;; Commentary:

;; What the model suggests doesn't matter here.

;;; Code:

(require 'session (expand-file-name "session" (file-name-directory load-file-name)))

(defconst source "# 𝒳 größe\nimport json\n\n\ndef load(path):\n    with open(path) as file: return json"
  "With a \".\" behind it there is something to suggest.")

(defvar sent nil
  "Methods and commands that the server got, the last first.")
(cl-defmethod jsonrpc-connection-send :after
  ((_server starfill-server) &key method params &allow-other-keys)
  (when method
    (push (if (eq method :workspace/executeCommand)
              (plist-get params :command)
            method)
          sent)))

(defun keys (keys)
  "Type KEYS, as `kbd' names them."
  (execute-kbd-macro (kbd keys)))

(defun text ()
  (buffer-substring-no-properties (point-min) (point-max)))

(defun ghost ()
  "What is to be seen behind the cursor, but isn't in the buffer."
  (let ((shown (cl-loop for it in (overlays-in (point-min) (point-max))
                        for text = (or (overlay-get it 'before-string) (overlay-get it 'display))
                        when text collect text)))
    (should (length< shown 2))
    (and shown (substring-no-properties (car shown)))))

(defun pause ()
  "As if nobody had typed for a while: Emacs in batch mode is never idle."
  (should (timerp starfill--timer))
  (timer-event-handler starfill--timer))

(defmacro with-ghost (&rest body)
  "Run BODY with a suggestion in sight: `seen', behind the text `before'."
  `(with-file (format "%s.py" (ert-test-name (ert-running-test))) source
     (until "the model" (equal (plist-get (starfill--status (eglot-current-server)) :state) "ready"))
     (keys ".")
     (pause)
     (let ((seen (until "a suggestion" (ghost)))
           (before (concat source ".")))
       (should (length> seen 3))
       (should (equal (text) before))
       (setq sent nil)
       ,@body)))

(ert-deftest accept ()
  (with-ghost
   (keys "TAB")
   (should (equal (text) (concat before seen)))
   (should (eobp))
   (should-not (ghost))
   (should (member "starfill.accepted" sent))
   (should (equal (string-trim-right (on-disk)) (string-trim-right (concat before seen))))))

(ert-deftest accepting-is-one-undo ()
  (with-ghost
   (keys "TAB C-/")
   (should (equal (text) before))
   (should-not starfill--timer)))

(ert-deftest accept-a-word-and-a-line ()
  (with-ghost
   (keys "M-f")
   (let ((word (substring (text) (length before))))
     (should (string-match-p "\\`[[:word:]_]+\\'" word))
     (should (equal (concat word (ghost)) seen))
     (keys "M-e")
     (should (string-prefix-p (text) (concat before seen)))
     (should (equal (concat (text) (ghost)) (concat before seen)))
     (should-not (memq :textDocument/inlineCompletion sent)))))

(ert-deftest type-through ()
  (with-ghost
   (keys (substring seen 0 1))
   (should (equal (ghost) (substring seen 1)))
   (should-not starfill--timer)
   (keys (substring seen 1 2))
   (should (equal (ghost) (substring seen 2)))
   (should-not (memq :textDocument/inlineCompletion sent))
   (keys "TAB")
   (should (equal (text) (concat before seen)))))

(ert-deftest type-something-else ()
  (with-ghost
   (keys "§")
   (should-not (ghost))
   (should (equal (text) (concat before "§")))
   (pause)
   (should (memq :textDocument/inlineCompletion sent))))

(ert-deftest dismiss ()
  (with-ghost
   (keys "C-g")
   (should-not (ghost))
   (should (equal (text) before))))

(ert-deftest a-cursor-that-leaves-takes-it-along ()
  (with-ghost
   (keys "C-b")
   (should-not (ghost))
   (should (equal (text) before))))

(ert-deftest keys-are-themselves-where-nothing-is-shown ()
  (with-ghost
   (should (eq (key-binding (kbd "TAB")) 'starfill-accept))
   (keys "C-g")
   (should (eq (key-binding (kbd "TAB")) 'indent-for-tab-command))
   (should (eq (key-binding (kbd "M-f")) 'forward-word))
   (should (eq (key-binding (kbd "C-g")) 'keyboard-quit))))

(ert-deftest superseded ()
  "A request is cancelled by the next key, and its answer isn't shown."
  (with-ghost
   (keys "DEL .")
   (pause)
   (let ((first (nth 1 starfill--pending)))
     (should (integerp first))
     (keys "DEL")
     (should (memq :$/cancelRequest sent))
     (should-not starfill--pending)
     (until "the answer" (zerop (jsonrpc-continuation-count (eglot-current-server))))
     (should-not (ghost))
     (should-not (jsonrpc-last-error (eglot-current-server)))
     (should (equal (text) source)))))

(ert-deftest older-than-the-text ()
  "An answer for another text isn't shown, whoever has changed it."
  (with-ghost
   (keys "DEL .")
   (pause)
   (save-excursion
     (goto-char (point-min))
     (insert "# by somebody else\n"))
   (until "the answer" (zerop (jsonrpc-continuation-count (eglot-current-server))))
   (should-not (ghost))))

(ert-deftest older-than-the-place ()
  (with-ghost
   (keys "DEL .")
   (pause)
   (goto-char (point-min))
   (until "the answer" (zerop (jsonrpc-continuation-count (eglot-current-server))))
   (should-not (ghost))))

(ert-deftest never-accepts-what-is-out-of-date ()
  (with-ghost
   (let ((inhibit-modification-hooks t))
     (insert "x"))
   (should-error (starfill-accept) :type 'user-error)
   (should (equal (text) (concat before "x")))))

(ert-deftest replaces-what-it-says-and-shows-others ()
  "Suggestions as the server makes them for a closing bracket."
  (with-ghost
   (erase-buffer)
   (insert "f()")
   (backward-char)
   (starfill--show (mapcar (lambda (text)
                             (make-starfill--item :from 2 :text text :tail 1))
                           '("(one)" "[no]" "(two, 2)")))
   (should (equal (ghost) "one)"))
   (keys "M-n")
   (should (equal (ghost) "two, 2)"))
   (keys "t w M-p")
   (should (equal (ghost) "o, 2)")) ; the one before it fits no longer
   (should (equal (text) "f(tw)"))))

(ert-deftest replaces-what-it-says ()
  (with-ghost
   (erase-buffer)
   (insert "f()")
   (backward-char)
   (starfill--show (list (make-starfill--item :from 2 :text "(one)" :tail 1)))
   (keys "o TAB")
   (should (equal (text) "f(one)"))
   (should (eobp))))

(ert-deftest tab-indents-where-a-suggestion-begins-with-indentation ()
  (with-ghost
   (erase-buffer)
   (insert "def one():\n")
   (starfill--show (list (make-starfill--item :from (point) :text "    return 1" :tail 0)))
   (keys "TAB")
   (should (equal (text) "def one():\n    "))
   (should (equal (ghost) "return 1"))
   (keys "TAB")
   (should (equal (text) "def one():\n    return 1"))))

(ert-deftest turned-off-and-on ()
  (with-ghost
   (starfill-toggle "file")
   (should-not (ghost))
   (until "being told" (string-search "turned off for this file" (car session-messages)))
   (push "" session-messages)
   (starfill-complete)
   (until "the reason" (string-search "turned off for this file" (car session-messages)))
   (should-not (ghost))
   (starfill-toggle "file")
   (until "being told" (equal (car session-messages) "Starfill: suggestions are on"))
   (starfill-complete)
   (until "a suggestion" (ghost))))

(ert-deftest why ()
  (with-ghost
   (starfill-why)
   (until "the source" (string-search "came from" (car session-messages)))
   (should (equal (plist-get (last-completion) :reason) nil))))

(ert-deftest mode-line ()
  (with-ghost
   (should (equal (starfill--lighter) " Starfill"))
   (let* ((server (eglot-current-server))
          (status (starfill--status server)))
     (setf (starfill--status server) '(:state "loading" :progress 0.42))
     (unwind-protect
         (should (equal (starfill--lighter) " Starfill:loading 42%%"))
       (setf (starfill--status server) status)))))

(ert-deftest explain ()
  (with-ghost
   (keys "C-g")
   (starfill-explain)
   (let ((page (until "the explanation"
                 (cl-find-if (lambda (it) (string-suffix-p ".md" (buffer-name it))) (buffer-list)))))
     (with-current-buffer page
       (should (string-prefix-p "# explain\n\n`explain.py:" (text)))
       (kill-buffer)))
   (should (equal (text) before))))

(ert-deftest rewrites ()
  "Emacs stands still neither for the list nor for the edit."
  (with-ghost
   (erase-buffer)
   (insert "def area(width, height):\n    result = width * height\n    return result\n")
   (let* ((old (text))
          (action (cl-find "Starfill: add type annotations"
                           (eglot-code-actions (point-min) (point-max))
                           :key (lambda (it) (plist-get it :title))
                           :test #'equal)))
     (should (plist-get action :command))
     (eglot-execute (eglot-current-server) action)
     (should (equal (text) old))
     (until "the edit" (not (equal (text) old)))
     (should (string-search "def area(" (text)))
     (should (equal (on-disk) (text))))))

(ert-deftest ask ()
  (with-ghost
   (erase-buffer)
   (insert "def area(width, height):\n    result = width * height\n    return result\n")
   (goto-char (point-min))
   (push "" session-messages)
   (let ((old (text)))
     (starfill-ask "Add type annotations to this function.")
     (until "an edit or a sentence"
       (or (not (equal (text) old))
           (string-search "Starfill" (car session-messages))))
     (should (member "starfill.instruct" sent)))))

(ert-deftest says-where-it-does-not-run ()
  (with-temp-buffer
    (should-error (starfill-complete) :type 'user-error)
    (should-error (starfill-why) :type 'user-error)))

(ert-deftest off ()
  (with-ghost
   (starfill-mode -1)
   (should-not (ghost))
   (keys "DEL .")
   (should-not starfill--timer)))

;;; starfill-test.el ends here
